package cpu

import (
	"github.com/compressaware/cram/sdk/array"
)

// A ranking finds the keep largest of many keys by radix selection; of equal keys the one with the
// lowest index wins. Digit by digit from the top, it counts the keys that share the digits of the
// threshold so far, and finds the next digit. The results are the threshold and the number of keys
// equal to it that are kept. Counts are integers, so chunks may be counted in any order.
type ranking[K int32 | int64] struct {
	b      *binding
	keep   int
	total  int
	widths []uint // bits of each digit, from the top; all keys are below 2^Σwidths
	chunks []rankChunk
	dtype  array.DType // of K

	keys   bufID
	counts bufID // by chunk and digit
	state  bufID // threshold so far; how many of the keys that share it are kept
	ties   bufID // by chunk: how many of the keys equal to the threshold are kept
}

// rankChunk is a range of one operand's keys.
type rankChunk struct {
	operand, from, to int
	at                int // in the keys of all operands
}

// rankChunkLen is a multiple of 8, so that no two chunks share a byte of a mask.
const rankChunkLen = 32 << 10

const mostDigits = 1 << 11

func newRanking[K int32 | int64](b *binding, d array.DType, widths []uint, keep int, sizes []int) *ranking[K] {
	r := &ranking[K]{b: b, keep: keep, widths: widths, dtype: d}
	for k, n := range sizes {
		for from := 0; from < n; from += rankChunkLen {
			to := min(from+rankChunkLen, n)
			r.chunks = append(r.chunks, rankChunk{k, from, to, r.total + from})
		}
		r.total += n
	}
	r.keys = b.space(d, r.total)
	r.counts = b.space(array.I32, len(r.chunks)*mostDigits)
	r.state = b.space(array.I64, 2)
	r.ties = b.space(array.I32, len(r.chunks))
	return r
}

// results are the buffers that kept reads.
func (r *ranking[K]) results() []bufID { return []bufID{r.keys, r.state, r.ties} }

// phases returns the phases that compute the keys of the operands w by fill, and select.
func (r *ranking[K]) phases(w []bufID, fill func(f *frame, keys []K, c rankChunk)) []phase {
	ps := []phase{{items: len(r.chunks), cost: rankChunkLen, whole: w, writes: []bufID{r.keys}, run: func(f *frame, _, i0, i1 int) error {
		for _, c := range r.chunks[i0:i1] {
			fill(f, r.keysOf(f, c), c)
		}
		return nil
	}}}
	shift := uint(0)
	for _, w := range r.widths {
		shift += w
	}
	for digit, width := range r.widths {
		shift -= width
		ps = append(ps, r.count(digit, shift, width), r.settle(digit, width))
	}
	return ps
}

// count counts, chunk by chunk, the keys that have the upper digits of the threshold, by their next
// digit.
func (r *ranking[K]) count(digit int, shift, width uint) phase {
	reads := []bufID{r.keys}
	if digit > 0 {
		reads = append(reads, r.state)
	}
	return phase{items: len(r.chunks), cost: 2 * rankChunkLen, whole: reads, writes: []bufID{r.counts}, run: func(f *frame, _, i0, i1 int) error {
		upper := K(0)
		if digit > 0 {
			upper = K(f.tensor(r.state, array.I64).I64()[0])
		}
		for i := i0; i < i1; i++ {
			counts := r.countsOf(f, i)
			clear(counts)
			for _, k := range r.keysOf(f, r.chunks[i]) {
				if k>>(shift+width) == upper {
					counts[k>>shift&(1<<width-1)]++
				}
			}
		}
		return nil
	}}
}

// settle finds the next digit of the threshold.
func (r *ranking[K]) settle(digit int, width uint) phase {
	reads, writes := []bufID{r.counts}, []bufID{r.state}
	last := digit == len(r.widths)-1
	if last {
		writes = append(writes, r.ties)
	}
	return phase{items: 1, cost: float64(len(r.chunks) << width), whole: reads, writes: writes, run: func(f *frame, _, _, _ int) error {
		state := f.tensor(r.state, array.I64).I64()
		if digit == 0 {
			state[0], state[1] = 0, int64(r.keep)
		}
		var totals [mostDigits]int64
		for i := range r.chunks {
			for d, n := range r.countsOf(f, i)[:1<<width] {
				totals[d] += int64(n)
			}
		}
		d := int64(1)<<width - 1
		for ; d > 0 && totals[d] < state[1]; d-- {
			state[1] -= totals[d]
		}
		state[0] = state[0]<<width | d
		if last {
			left := state[1]
			for i, n := range r.tiesOf(f) {
				n = min(r.countsOf(f, i)[d], int32(min(left, rankChunkLen)))
				r.tiesOf(f)[i] = n
				left -= int64(n)
			}
		}
		return nil
	}}
}

// kept calls mark for each key of a chunk that is kept, with its position in the chunk.
func (r *ranking[K]) kept(f *frame, chunk int, mark func(j int)) {
	if r.keep == 0 {
		return
	}
	threshold := K(f.tensor(r.state, array.I64).I64()[0])
	ties := r.tiesOf(f)[chunk]
	for j, k := range r.keysOf(f, r.chunks[chunk]) {
		switch {
		case k > threshold:
			mark(j)
		case k == threshold && ties > 0:
			ties--
			mark(j)
		}
	}
}

func (r *ranking[K]) countsOf(f *frame, chunk int) []int32 {
	return f.tensor(r.counts, array.I32).I32()[chunk*mostDigits:][:mostDigits]
}

func (r *ranking[K]) tiesOf(f *frame) []int32 { return f.tensor(r.ties, array.I32).I32() }

func (r *ranking[K]) keysOf(f *frame, c rankChunk) []K {
	t := f.tensor(r.keys, r.dtype)
	var all any = t.I32()
	if r.dtype == array.I64 {
		all = t.I64()
	}
	keys, _ := all.([]K)
	return keys[c.at : c.at+c.to-c.from]
}
