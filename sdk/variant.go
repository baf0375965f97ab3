package sdk

import (
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/optim"
)

// streamDraw tells the draw of compressors apart from the data package's streams, which share the seed.
const streamDraw = 1 << 32

// A variant is what the host decides before a step: for every point of the estimator, which compressor was drawn and
// whether its masks are recomputed. Each variant is one straight-line step.
type variant struct {
	draw  []int
	fresh []bool
}

func (v variant) key() string { return fmt.Sprint(v.draw, v.fresh) }

// A drawer deals out variants step by step. They are a function of (estimator, seed, step); uses, which decides when
// masks are refreshed, is recounted from step 0 on resume.
type drawer struct {
	points []optim.Point
	seed   uint64
	step   int
	uses   [][]int
}

func newDrawer(e optim.Method, seed uint64) *drawer {
	d := &drawer{points: e.Points, seed: seed}
	for _, p := range e.Points {
		d.uses = append(d.uses, make([]int, len(p.Compress)))
	}
	return d
}

// skip moves on to the given step.
func (d *drawer) skip(step int) {
	for d.step < step {
		d.next()
	}
}

// next returns the variant of the current step and moves on.
func (d *drawer) next() variant {
	v := variant{make([]int, len(d.points)), make([]bool, len(d.points))}
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

// describe names the compressors drawn, "" when there was nothing to draw.
func (v variant) describe(e optim.Method) string {
	var names []string
	for i, p := range e.Points {
		if len(p.Compress) > 0 {
			names = append(names, p.Compress[v.draw[i]].String())
		}
	}
	return strings.Join(names, ", ")
}
