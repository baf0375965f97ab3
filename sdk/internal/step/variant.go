package step

import (
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/optim"
)

// streamDraw is the first word of the keys for the draw of compressors. The streams of package
// data, which have the same seed, have smaller first words.
const streamDraw = 1 << 32

// A Variant is the decision of the host before a step: the compressor of each point, and whether
// its masks are computed or reused. Each variant is one step without control flow.
type Variant struct {
	draw  []int  // index of the compressor, by point
	fresh []bool // masks are computed, by point
}

// key identifies the variant within one method.
func (v Variant) key() string { return fmt.Sprint(v.draw, v.fresh) }

// Describe returns the names of the compressors that are drawn, separated by commas; "" if no point
// has one.
func (v Variant) Describe(m optim.Method) string {
	var names []string
	for i, p := range m.Points {
		if len(p.Compress) > 0 {
			names = append(names, p.Compress[v.draw[i]].String())
		}
	}
	return strings.Join(names, ", ")
}

// A Drawer draws the variants of one training, step by step. A variant depends only on method, seed
// and step. Masks are computed at every Refresh-th use of a compressor, counted from step 0.
type Drawer struct {
	points []optim.Point
	seed   uint64
	step   int
	uses   [][]int // by point and compressor
}

// NewDrawer returns the Drawer of a training at step 0.
func NewDrawer(m optim.Method, seed uint64) *Drawer {
	d := &Drawer{points: m.Points, seed: seed}
	for _, p := range m.Points {
		d.uses = append(d.uses, make([]int, len(p.Compress)))
	}
	return d
}

// Skip advances to the given step.
func (d *Drawer) Skip(step int) {
	for d.step < step {
		d.Next()
	}
}

// Next returns the variant of the current step and advances by one.
func (d *Drawer) Next() Variant {
	v := Variant{make([]int, len(d.points)), make([]bool, len(d.points))}
	for i, p := range d.points {
		if len(p.Compress) == 0 {
			continue
		}
		c := data.NewRandom(streamDraw, d.seed, uint64(d.step), uint64(i)).IntN(len(p.Compress))
		v.draw[i] = c
		v.fresh[i] = d.uses[i][c]%max(p.Refresh, 1) == 0
		d.uses[i][c]++
	}
	d.step++
	return v
}
