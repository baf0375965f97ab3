package reference

import (
	"cmp"
	"math"
	"slices"

	"github.com/compressaware/cram/sdk/graph"
)

// largest returns the positions of the keep largest scores. NaN is larger than every number. Of
// equal scores the lowest position is first.
func largest(scores []float64, keep int) []int {
	order := make([]int, len(scores))
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := scores[a], scores[b]
		return cmp.Or(
			cmp.Compare(bit(math.IsNaN(y)), bit(math.IsNaN(x))),
			cmp.Compare(bit(y > x), bit(x > y)),
			cmp.Compare(a, b))
	})
	return order[:keep]
}

func topKMask(attr graph.Attr, w, mask []operand) error {
	var scores []float64
	for _, w := range w {
		for _, v := range w.f {
			scores = append(scores, math.Abs(v))
		}
	}
	kept := largest(scores, attr.(graph.TopKAttr).K)
	slices.Sort(kept)
	start := 0
	for _, m := range mask {
		for len(kept) > 0 && kept[0] < start+m.size() {
			m.i[kept[0]-start] = 1
			kept = kept[1:]
		}
		start += m.size()
	}
	return nil
}

func nmMask(attr graph.Attr, w, mask []operand) error {
	a := attr.(graph.NMAttr)
	step := strides(w[0].dims)[a.Axis]
	scores := make([]float64, a.M)
	for k := range w[0].f {
		if k/step%w[0].dims[a.Axis]%a.M != 0 {
			continue // not the first of its group
		}
		for j := range scores {
			scores[j] = math.Abs(w[0].f[k+j*step])
		}
		for _, j := range largest(scores, a.N) {
			mask[0].i[k+j*step] = 1
		}
	}
	return nil
}

// blockMask ranks the blocks of an operand [O …] in row-major order of [O/size …].
func blockMask(attr graph.Attr, w, mask []operand) error {
	a := attr.(graph.BlockAttr)
	var scores []float64
	var set []func()
	for n, w := range w {
		step := strides(w.dims)[0]
		for k := range w.f {
			if k/step%a.Size != 0 {
				continue // not the first of its block
			}
			total := 0.0
			for j := range a.Size {
				total += math.Abs(w.f[k+j*step])
			}
			scores = append(scores, total)
			set = append(set, func() {
				for j := range a.Size {
					mask[n].i[k+j*step] = 1
				}
			})
		}
	}
	for _, k := range largest(scores, a.K) {
		set[k]()
	}
	return nil
}

func keep(_ graph.Attr, x, y []operand) error {
	for k, v := range x[0].f {
		if x[1].i[k] != 0 {
			y[0].f[k] = v
		}
	}
	return nil
}
