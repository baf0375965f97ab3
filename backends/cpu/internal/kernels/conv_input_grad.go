package kernels

import "errors"

// ConvInputGrad computes dx from dy and the weights. See [InstructionSet.ConvInputGrad].
type ConvInputGrad struct {
	shape ConvShape
	image convImage
}

// ConvInputGrad plans the gradient of a convolution with respect to its input. Use is that of [InstructionSet.ConvForward]; the result is dx, the rows and panels
// of a part are those of dx. A stride multiplies no zeros: the pixels of dx fall into StrideH·StrideW lattices, each of
// which sums its own taps. Planar input is an error: reorder x into blocks and clear Planar.
func (isa InstructionSet) ConvInputGrad(s ConvShape) (*ConvInputGrad, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if s.Planar {
		return nil, errors.New("kernels: convolution: no input gradient for planar input: want blocked input, Planar false")
	}
	g := &ConvInputGrad{shape: s}
	c := &g.image
	c.height, c.width, c.blocks = s.H, s.W, Blocks(s.C)
	rows, cols := convLattices(s.H, s.KH, s.StrideH, s.Top), convLattices(s.W, s.KW, s.StrideW, s.Left)
	c.planes = convPlanes{
		height: s.OutH(), width: s.OutW(), blocks: Blocks(s.O), unit: Block, strideH: 1, strideW: 1,
		top: rows.pad, left: cols.pad, rows: rows.length, cols: cols.length, inPlace: s.pointwise(),
	}
	phase := c.planes.phase(0, 0)
	kind := convBlocked
	if s.depthwise() {
		kind = convLanewise
	}
	pairs := kind == convBlocked && isa.convTiles(convPaired)[2][2] > 0 && cols.pairs()
	for _, a := range rows.lattices {
		for n, b := range cols.lattices {
			grid := convGrid{y: a.first, x: b.first, stepY: s.StrideH, stepX: s.StrideW, rows: a.count, cols: b.count}
			for _, i := range a.taps {
				for _, j := range b.taps {
					grid.taps = append(grid.taps, convTap{i: i.weight, j: j.weight, phase: phase, shiftY: i.shift, shiftX: j.shift})
				}
			}
			if last := len(c.grids) - 1; pairs && n == 1 && len(a.taps) > 0 {
				grid.x, grid.paired = 0, c.grids[last].taps
				c.grids[last] = grid
				continue
			}
			c.grids = append(c.grids, grid)
		}
	}
	c.finish(isa, kind, s.Groups, s.C/s.Groups, s.O/s.Groups)
	return g, nil
}

// convAxis is one direction of an input gradient: which taps of the kernel reach which coordinates of dx.
type convAxis struct {
	lattices    []convLattice
	pad, length int // of the planes of dy: plane index u is dy index u - pad
}

// convLattice is the coordinates first, first+stride, … of dx. The m-th of them sums, over taps, weight · plane[m + shift].
type convLattice struct {
	first, count int
	taps         []struct{ weight, shift int }
}

// pairs reports whether two columns that are neighbours are best computed together: as with 3 columns, stride 2 and an odd padding, where the first of
// them has one tap, and the second the same pixel and the next one.
func (a *convAxis) pairs() bool {
	if len(a.lattices) != 2 {
		return false
	}
	even, odd := a.lattices[0], a.lattices[1]
	return even.count == odd.count && len(even.taps) == 1 && len(odd.taps) == 2 &&
		min(odd.taps[0].shift, odd.taps[1].shift) == even.taps[0].shift
}

// convLattices solves y + pad = out·stride + i for one direction: coordinate y = first + m·stride has remainder i mod stride = a fixed, and with
// i = a + stride·j finds out = u + m - j, u being the quotient of first.
func convLattices(size, kernel, stride, pad int) convAxis {
	var axis convAxis
	least := 0 // of u - j: the plane begins there
	for first := range min(stride, size) {
		l := convLattice{first: first, count: (size - first + stride - 1) / stride}
		a, u := (first+pad)%stride, (first+pad)/stride
		for j, i := 0, a; i < kernel; j, i = j+1, i+stride {
			l.taps = append(l.taps, struct{ weight, shift int }{i, u - j})
			least = min(least, u-j)
		}
		axis.lattices = append(axis.lattices, l)
	}
	axis.pad = -least
	for _, l := range axis.lattices {
		for t := range l.taps {
			l.taps[t].shift -= least
			axis.length = max(axis.length, l.taps[t].shift+l.count)
		}
	}
	return axis
}

// Shape returns the planned shape.
func (g *ConvInputGrad) Shape() ConvShape { return g.shape }

// PackedLen returns the length of the packed weights.
func (g *ConvInputGrad) PackedLen() int { return g.image.packedLen }

// ScratchLen returns the length of the scratch of one call of Compute; it may be 0.
func (g *ConvInputGrad) ScratchLen() int { return g.image.planes.len() }

// Panels returns the number of panels of input channels, the units in which a part divides them.
func (g *ConvInputGrad) Panels() int { return len(g.image.panels) }

// All returns the part that is everything: all rows and panels of n images.
func (g *ConvInputGrad) All(n int) ConvPart { return g.image.all(n) }

// Pack rearranges w, [O, C/Groups, KH, KW], into packed, which Compute reads. The packing differs from that of [ConvForward.Pack].
func (g *ConvInputGrad) Pack(packed, w []float32) {
	s := g.shape
	taps, perGroup := s.KH*s.KW, s.C/s.Groups
	g.image.pack(packed, w[:s.WeightLen()], convPacking{
		out: s.C, in: s.O, outStride: taps, inStride: perGroup * taps, groups: s.Groups, groupStride: perGroup * taps, kw: s.KW,
	})
}

// Compute computes part of dx from dy, both in blocks of 16 channels and beginning at image 0 of the part's numbering.
// Scratch holds ScratchLen values of any content.
func (g *ConvInputGrad) Compute(dx, dy, packed, scratch []float32, part ConvPart) {
	g.image.compute(dx, dy, packed, nil, convNoFloor, scratch, part)
}
