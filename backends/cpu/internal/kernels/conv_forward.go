package kernels

// ConvForward computes y from x and the weights. See [InstructionSet.ConvForward].
type ConvForward struct {
	shape ConvShape
	image convImage
}

// ConvForward plans the forward pass of a convolution. The error says what is wrong with the shape.
//
//	f, err := level.ConvForward(shape)
//	packed, scratch := Floats(f.PackedLen()), Floats(f.ScratchLen())    // one scratch for each concurrent call
//	f.Pack(packed, w)                                                   // again whenever w has changed
//	f.Compute(y, x, packed, nil, false, scratch, f.All(n))
//
// Sums run over input channels and taps in an order that depends on the shape and the level alone. Assembly levels use fused multiply-adds: against
// Portable the result differs by rounding.
func (isa InstructionSet) ConvForward(s ConvShape) (*ConvForward, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	f := &ConvForward{shape: s}
	c := &f.image
	c.height, c.width, c.blocks = s.OutH(), s.OutW(), Blocks(s.O)
	grid := convGrid{stepY: 1, stepX: 1, rows: c.height, cols: c.width}
	c.planes, grid.taps = s.inputPlanes()
	c.grids = []convGrid{grid}
	kind := convBlocked
	switch {
	case s.Planar:
		kind = convPlanar
	case s.depthwise():
		kind = convLanewise
	}
	c.finish(isa, kind, s.Groups, s.O/s.Groups, s.C/s.Groups)
	return f, nil
}

// inputPlanes lays out the planes of x that the forward pass and the weight gradient read, and the taps within them.
func (s ConvShape) inputPlanes() (convPlanes, []convTap) {
	p := convPlanes{
		height: s.H, width: s.W, blocks: Blocks(s.C), unit: Block,
		strideH: s.StrideH, strideW: s.StrideW, top: s.Top, left: s.Left,
		rows: s.OutH() + (s.KH-1)/s.StrideH, cols: s.OutW() + (s.KW-1)/s.StrideW,
	}
	if s.Planar {
		p.blocks, p.unit = s.C, 1
	}
	p.inPlace = s.pointwise()
	var taps []convTap
	for i := range s.KH {
		for j := range s.KW {
			taps = append(taps, convTap{i: i, j: j, phase: p.phase(i%s.StrideH, j%s.StrideW), shiftY: i / s.StrideH, shiftX: j / s.StrideW})
		}
	}
	return p, taps
}

// pointwise reports whether every output pixel reads just the input pixel of the same place.
func (s ConvShape) pointwise() bool {
	return s.KH == 1 && s.KW == 1 && s.StrideH == 1 && s.StrideW == 1 && s.Top == 0 && s.Bottom == 0 && s.Left == 0 && s.Right == 0
}

// Shape returns the planned shape.
func (f *ConvForward) Shape() ConvShape { return f.shape }

// PackedLen returns the length of the packed weights.
func (f *ConvForward) PackedLen() int { return f.image.packedLen }

// ScratchLen returns the length of the scratch of one call of Compute; it may be 0.
func (f *ConvForward) ScratchLen() int { return f.image.planes.len() }

// Panels returns the number of panels of output channels, the units in which a part divides them.
func (f *ConvForward) Panels() int { return len(f.image.panels) }

// All returns the part that is everything: all rows and panels of n images.
func (f *ConvForward) All(n int) ConvPart { return f.image.all(n) }

// Pack rearranges w, [O, C/Groups, KH, KW], into packed, which Compute reads.
func (f *ConvForward) Pack(packed, w []float32) {
	s := f.shape
	taps, perGroup := s.KH*s.KW, s.C/s.Groups
	f.image.pack(packed, w[:s.WeightLen()], convPacking{
		out: s.O, in: s.C, outStride: perGroup * taps, inStride: taps, groups: s.Groups, groupStride: perGroup * taps, kw: s.KW,
	})
}

// Compute computes part of y = conv(x, w) + bias, and then max(0, y) if relu is set.
// y is in blocks of 16 channels, x in blocks or planar as the shape says; both begin at image 0 of the part's numbering.
// Bias is nil or holds O values padded with zeros to whole blocks. Scratch holds ScratchLen values of any content.
func (f *ConvForward) Compute(y, x, packed, bias []float32, relu bool, scratch []float32, part ConvPart) {
	floor := convNoFloor
	if relu {
		floor = 0
	}
	f.image.compute(y, x, packed, bias, floor, scratch, part)
}

func (c *convImage) all(n int) ConvPart { return ConvPart{N1: n, Y1: c.height, P1: len(c.panels)} }
