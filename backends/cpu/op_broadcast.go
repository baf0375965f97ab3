package cpu

import (
	"slices"

	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// broadcast repeats a row-major source along its axes of size 1.
type broadcast struct{ dims graph.Shape } // of the source, with the rank of the result

func (c broadcast) phases(b *binding, s *step) ([]phase, error) {
	y := s.out[0]
	t, dims := b.values[y], b.dims[y]
	from, err := c.dims.Bind(b.sizes)
	if err != nil {
		return nil, err
	}
	x, to := b.buf(s.in[0]), b.buf(y)
	if t.typ.DType != array.F32 {
		mv := move{shape: dims, from: repeating(from), to: strides(dims)}
		return []phase{{items: 1, cost: float64(b.count(y)), whole: []bufID{x}, writes: []bufID{to}, run: func(f *frame, _, _, _ int) error {
			out := f.tensor(to, t.typ.DType)
			clear(out.Data)
			mv.run(out, f.tensor(x, t.typ.DType))
			return nil
		}}}, nil
	}
	r := newRepeat(from, dims, t.layout)
	n := b.elements(y)
	if b.varies(y) && b.batched(dims[0]) {
		each := n / dims[0]
		return []phase{{items: dims[0], cost: float64(each), local: true, whole: []bufID{x}, writes: []bufID{to}, run: func(f *frame, w, i0, i1 int) error {
			r.read(f.piece(w, to, i0, i1), f.all(x), i0*each)
			return nil
		}}}, nil
	}
	return []phase{{items: tiles(n), cost: tile, whole: []bufID{x}, writes: []bufID{to}, run: func(f *frame, _, i0, i1 int) error {
		r.read(f.all(to)[i0*tile:min(i1*tile, n)], f.all(x), i0*tile)
		return nil
	}}}, nil
}

// repeating returns the strides of a row-major source, 0 along axes of size 1.
func repeating(from []int) []int {
	s := strides(from)
	for ax, n := range from {
		if n == 1 {
			s[ax] = 0
		}
	}
	return s
}

// A repeat reads ranges of a broadcast tensor from its source.
type repeat struct {
	dims, stride []int // row-major: neighbouring axes are merged where one stride describes both
	// blocked instead: dims is n, c, pixels, and the source varies over n and c only
	lanes bool
}

func newRepeat(from, to []int, lay layout) repeat {
	s := repeating(from)
	if lay == blocked {
		m := imageOf(to)
		return repeat{lanes: true, dims: []int{m.n, m.c, m.pixels}, stride: s[:2]}
	}
	r := repeat{dims: []int{1}, stride: []int{0}}
	for ax, n := range to {
		last := len(r.dims) - 1
		switch {
		case n == 1:
		case r.stride[last] == s[ax]*n || r.dims[last] == 1:
			r.dims[last] *= n
			r.stride[last] = s[ax]
		default:
			r.dims, r.stride = append(r.dims, n), append(r.stride, s[ax])
		}
	}
	return r
}

// read sets dst to the elements from offset at on.
func (r repeat) read(dst, src []float32, at int) {
	if r.lanes {
		r.readLanes(dst, src, at)
		return
	}
	last := len(r.dims) - 1
	width, step := r.dims[last], r.stride[last]
	for len(dst) > 0 {
		row, col := at/width, at%width
		n := min(len(dst), width-col)
		from := col * step
		for ax := last - 1; ax >= 0; ax-- {
			from += row % r.dims[ax] * r.stride[ax]
			row /= r.dims[ax]
		}
		switch step {
		case 0:
			fillWith(dst[:n], src[from])
		case 1:
			copy(dst[:n], src[from:])
		default:
			for i := range n {
				dst[i] = src[from+i*step]
			}
		}
		dst, at = dst[n:], at+n
	}
}

// readLanes is read in blocked layout. at is a multiple of 16.
func (r repeat) readLanes(dst, src []float32, at int) {
	c, plane := r.dims[1], r.dims[2]*kernels.Block
	for len(dst) > 0 {
		p := at / plane
		n, first := p/kernels.Blocks(c), p%kernels.Blocks(c)*kernels.Block
		var lanes [kernels.Block]float32
		for j := range min(kernels.Block, c-first) {
			lanes[j] = src[n*r.stride[0]+(first+j)*r.stride[1]]
		}
		part := dst[:min(len(dst), plane-at%plane)]
		dst, at = dst[len(part):], at+len(part)
		for pixel := range slices.Chunk(part, kernels.Block) {
			copy(pixel, lanes[:])
		}
	}
}
