package kernels

// ConvForward is the forward pass of one shape of convolution, planned by
// [InstructionSet.ConvForward].
type ConvForward struct {
	shape ConvShape
	image convImage
}

// ConvForward plans the forward pass of a convolution. It returns an error if the shape is not
// valid.
//
//	f, err := isa.ConvForward(shape)
//	packed := Floats(f.PackedLen())
//	f.Pack(packed, w)                   // after every change of w
//	scratch := Floats(f.ScratchLen())   // one for each concurrent call
//	f.Compute(y, x, packed, nil, false, scratch, f.All(n))
//
// The order of summation depends on the shape and the instruction set only. AVX2 and AVX512 use
// fused multiply-adds, so their results and those of Portable differ by rounding.
func (isa InstructionSet) ConvForward(s ConvShape) (*ConvForward, error) {
	if err := s.validate(); err != nil {
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

// inputPlanes returns the planes of x that the forward pass and the weight gradient read, and all
// taps.
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

// pointwise reports whether every output pixel reads the input pixel at the same position only.
func (s ConvShape) pointwise() bool {
	return s.KH == 1 && s.KW == 1 && s.StrideH == 1 && s.StrideW == 1 && s.Top == 0 && s.Bottom == 0 && s.Left == 0 && s.Right == 0
}

// Shape returns the shape.
func (f *ConvForward) Shape() ConvShape { return f.shape }

// PackedLen returns the number of packed weights.
func (f *ConvForward) PackedLen() int { return f.image.packedLen }

// ScratchLen returns the length of the scratch of one call of Compute. It can be 0.
func (f *ConvForward) ScratchLen() int { return f.image.planes.len() }

// Panels returns the number of panels of output channels.
func (f *ConvForward) Panels() int { return len(f.image.panels) }

// All returns the part with all rows and panels of n images.
func (f *ConvForward) All(n int) ConvPart { return f.image.all(n) }

// Pack writes the weights w, [O, C/Groups, KH, KW], to packed, in the order in which Compute reads
// them.
func (f *ConvForward) Pack(packed, w []float32) {
	s := f.shape
	taps, perGroup := s.KH*s.KW, s.C/s.Groups
	f.image.pack(packed, w[:s.WeightLen()], convPacking{
		out: s.O, in: s.C, outStride: perGroup * taps, inStride: taps, groups: s.Groups, groupStride: perGroup * taps, kw: s.KW,
	})
}

// Compute computes part of y = conv(x, w) + bias, and then max(0, y) if relu is set. y is in blocks
// of 16 channels; x is in blocks or, if the shape is planar, row-major. Both begin at image 0. bias
// is nil, or has O values padded with zeros to whole blocks. scratch has ScratchLen elements, which
// Compute overwrites.
func (f *ConvForward) Compute(y, x, packed, bias []float32, relu bool, scratch []float32, part ConvPart) {
	floor := convNoFloor
	if relu {
		floor = 0
	}
	f.image.compute(y, x, packed, bias, floor, scratch, part)
}
