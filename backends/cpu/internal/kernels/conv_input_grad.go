package kernels

import "errors"

// ConvInputGrad is the input gradient of one shape of convolution, planned by
// [InstructionSet.ConvInputGrad].
type ConvInputGrad struct {
	shape ConvShape
	image convImage
}

// ConvInputGrad plans the gradient of a convolution with respect to its input. It is used like
// [InstructionSet.ConvForward]. The result is dx, and the rows and panels of a part are those of
// dx. It returns an error if the shape is not valid or is planar; dx is always in blocks of 16
// channels.
//
// With a stride the pixels of dx form StrideH·StrideW grids. All pixels of a grid have the same
// taps, and the taps that would meet zeros between the pixels of dy are left out.
func (isa InstructionSet) ConvInputGrad(s ConvShape) (*ConvInputGrad, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	if s.Planar {
		return nil, errors.New("kernels: convolution: input gradient: want blocked input, got planar")
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
	paired := kind == convBlocked && isa.convTiles(convPaired)[2][2] > 0 && cols.paired()
	for _, a := range rows.lattices {
		for n, b := range cols.lattices {
			grid := convGrid{y: a.first, x: b.first, stepY: s.StrideH, stepX: s.StrideW, rows: a.count, cols: b.count}
			for _, i := range a.taps {
				for _, j := range b.taps {
					grid.taps = append(grid.taps, convTap{i: i.weight, j: j.weight, phase: phase, shiftY: i.shift, shiftX: j.shift})
				}
			}
			if last := len(c.grids) - 1; paired && n == 1 && len(a.taps) > 0 {
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

// convAxis is one axis of an input gradient, rows or columns: its coordinates in dx, divided into
// lattices, and the length and the padding of its planes of dy.
type convAxis struct {
	lattices    []convLattice
	pad, length int // index u of a plane is index u - pad of dy
}

// convLattice is the coordinates first + m·stride of dx, 0 ≤ m < count:
//
//	dx[first + m·stride] = Σ_taps w[weight] · plane[m + shift]
type convLattice struct {
	first, count int
	taps         []struct{ weight, shift int }
}

// paired reports whether two neighbouring columns should be computed together: the first has one
// tap, and the second has two, for the same pixel and the next one. That is so with three kernel
// columns, stride 2 and an odd padding.
func (a *convAxis) paired() bool {
	if len(a.lattices) != 2 {
		return false
	}
	even, odd := a.lattices[0], a.lattices[1]
	return even.count == odd.count && len(even.taps) == 1 && len(odd.taps) == 2 &&
		min(odd.taps[0].shift, odd.taps[1].shift) == even.taps[0].shift
}

// convLattices returns the lattices of an axis of dx. Coordinate y of dx and tap i read coordinate
// out of dy, where
//
//	y + pad = out·stride + i
//
// A lattice contains y = first + m·stride. Its taps are i = a + j·stride, with a = (first+pad) mod
// stride and u = (first+pad) / stride. Then out = u + m - j.
func convLattices(size, kernel, stride, pad int) convAxis {
	var axis convAxis
	least := 0 // the smallest u - j: the plane begins there
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

// Shape returns the shape.
func (g *ConvInputGrad) Shape() ConvShape { return g.shape }

// PackedLen returns the number of packed weights.
func (g *ConvInputGrad) PackedLen() int { return g.image.packedLen }

// ScratchLen returns the length of the scratch of one call of Compute. It can be 0.
func (g *ConvInputGrad) ScratchLen() int { return g.image.planes.len() }

// Panels returns the number of panels of input channels.
func (g *ConvInputGrad) Panels() int { return len(g.image.panels) }

// All returns the part with all rows and panels of n images.
func (g *ConvInputGrad) All(n int) ConvPart { return g.image.all(n) }

// Pack writes the weights w, [O, C/Groups, KH, KW], to packed, in the order in which Compute reads
// them. The order differs from that of [ConvForward.Pack].
func (g *ConvInputGrad) Pack(packed, w []float32) {
	s := g.shape
	taps, perGroup := s.KH*s.KW, s.C/s.Groups
	g.image.pack(packed, w[:s.WeightLen()], convPacking{
		out: s.C, in: s.O, outStride: taps, inStride: perGroup * taps, groups: s.Groups, groupStride: perGroup * taps, kw: s.KW,
	})
}

// Compute computes part of dx from dy, both in blocks of 16 channels. Both begin at image 0.
// scratch has ScratchLen elements, which Compute overwrites.
func (g *ConvInputGrad) Compute(dx, dy, packed, scratch []float32, part ConvPart) {
	g.image.compute(dx, dy, packed, nil, convNoFloor, scratch, part)
}
