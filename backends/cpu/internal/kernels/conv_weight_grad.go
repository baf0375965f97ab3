package kernels

import "slices"

// ConvWeightGrad is the weight gradient of one shape of convolution, planned by
// [InstructionSet.ConvWeightGrad]. The loops, from the outermost to the innermost one:
//
//	image   n, of the part
//	strip   strip output rows: fills the planes
//	panel   one or two blocks of output channels
//	piece   output rows whose x and dy fit the first-level cache
//	block   blocked only: block of input channels
//	tile    run of taps, or several runs: the inner loops, see convGradTile
type ConvWeightGrad struct {
	shape      ConvShape
	isa        InstructionSet
	kind       convKind
	planes     convPlanes
	taps       []convTap // in the order of sortTaps
	panels     []convPanel
	starts     []int // by panel: index of its first element in a partial sum
	partialLen int
	strip      int        // output rows of a strip
	runs       []convRun  // of taps; unless blocked, longest first
	steps      []convStep // blocked
	// planar: of the runs of every channel; lanewise: of the runs of one block
	offsets []int
}

// ConvWeightGrad plans the gradient of a convolution with respect to its weights. It returns an
// error if the shape is not valid.
//
// The gradient is a sum over images. Compute sets a partial sum, the sum over a range of images, in
// a layout of its own. The caller adds partial sums element by element, and Unpack writes the sum
// as dw:
//
//	g, err := isa.ConvWeightGrad(shape)
//	sum, other := Floats(g.PartialLen()), Floats(g.PartialLen())
//	scratch := Floats(g.ScratchLen())
//	g.Compute(sum, x, dy, scratch, g.All(0, n/2))
//	g.Compute(other, x, dy, scratch, g.All(n/2, n))
//	isa.Add(sum, sum, other)
//	g.Unpack(dw, sum, g.All(0, 0))
//
// If the caller chooses ranges that do not depend on the number of workers, nor does dw. A caller
// can also split the panels of output channels over workers.
func (isa InstructionSet) ConvWeightGrad(s ConvShape) (*ConvWeightGrad, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	g := &ConvWeightGrad{shape: s, isa: isa}
	g.planes, g.taps = s.inputPlanes()
	switch {
	case s.Planar:
		g.kind = convPlanar
	case s.depthwise():
		g.kind = convLanewise
	}
	g.planStrips()
	g.planRuns()
	most := 1
	if g.kind == convBlocked {
		most = isa.convGradLimits().blocks
	}
	g.panels = convPanels(s.Groups, s.O/s.Groups, s.C/s.Groups, g.planes.unit, func(blocks int) int { return min(blocks, most) })
	for _, p := range g.panels {
		g.starts = append(g.starts, g.partialLen)
		g.partialLen += p.blocks * g.blockLen(p)
	}
	return g, nil
}

// planRuns cuts the taps into runs for the kernels.
func (g *ConvWeightGrad) planRuns() {
	sortTaps(g.taps)
	limits := g.isa.convGradLimits()
	longest := limits.longest
	if g.kind != convBlocked {
		longest = min(convMaxRun, limits.window/2)
	}
	g.runs = convRuns(g.taps, min(longest, g.shape.OutW()+1)) // see convGradTile: length ≤ cols + 1
	if g.kind == convBlocked {
		g.steps = convSteps(g.runs, limits.split)
		return
	}
	slices.SortStableFunc(g.runs, func(a, b convRun) int { return b.length - a.length })
	blocks := 1
	if g.kind == convPlanar {
		blocks = g.planes.blocks
	}
	for _, r := range g.runs {
		for b := range blocks {
			g.offsets = append(g.offsets, g.planes.offset(b, g.taps[r.tap]))
		}
	}
}

// planStrips chooses the number of output rows of a strip: all rows, or as many that the planes of
// the strip have at most convStripBytes.
func (g *ConvWeightGrad) planStrips() {
	spread, height := (g.shape.KH-1)/g.shape.StrideH, g.shape.OutH()
	g.strip = height
	for n := 2; ; n++ {
		g.planes.stripRows = g.strip + spread
		if g.strip == 1 || 4*g.planes.len() <= convStripBytes {
			return
		}
		g.strip = (height + n - 1) / n
	}
}

// blockLen returns the number of elements of one output block of a panel in a partial sum. They are
//
//	[input block of the panel][tap][input channel][lane]     blocked
//	[run][input channel][tap of the run][lane]               planar
//	[run][tap of the run][lane]                              lanewise
func (g *ConvWeightGrad) blockLen(p convPanel) int {
	switch g.kind {
	case convBlocked:
		return (p.in1 - p.in0) * len(g.taps) * Block * Block
	case convPlanar:
		return g.shape.C * len(g.taps) * Block
	default:
		return len(g.taps) * Block
	}
}

// Shape returns the shape.
func (g *ConvWeightGrad) Shape() ConvShape { return g.shape }

// PartialLen returns the number of elements of one partial sum.
func (g *ConvWeightGrad) PartialLen() int { return g.partialLen }

// ScratchLen returns the length of the scratch of one call of Compute. It can be 0.
func (g *ConvWeightGrad) ScratchLen() int { return g.planes.len() }

// Panels returns the number of panels of output channels.
func (g *ConvWeightGrad) Panels() int { return len(g.panels) }

// All returns the part with all panels of the images n0 ≤ n < n1. [ConvWeightGrad.Compute] ignores
// the rows of a part.
func (g *ConvWeightGrad) All(n0, n1 int) ConvPart {
	return ConvPart{N0: n0, N1: n1, Y1: g.shape.OutH(), P1: len(g.panels)}
}

// Compute sets the panels of a part in partial to the sum over the images of the part. x and dy
// begin at image 0. dy is in blocks of 16 channels; x is in blocks or, if the shape is planar,
// row-major. scratch has ScratchLen elements, which Compute overwrites.
func (g *ConvWeightGrad) Compute(partial, x, dy, scratch []float32, part ConvPart) {
	panels := g.panels[part.P0:part.P1]
	if len(panels) == 0 {
		return
	}
	partial = partial[:g.partialLen]
	for i, p := range panels {
		clear(partial[g.starts[part.P0+i]:][:p.blocks*g.blockLen(p)])
	}
	in0, in1 := panels[0].in0, panels[len(panels)-1].in1
	inLen, outLen, height := g.shape.InLen(), g.shape.OutLen(), g.shape.OutH()
	work := height * g.shape.OutW() * g.partialLen / Block * len(panels) / len(g.panels)
	for n := part.N0; n < part.N1; n++ {
		image, grad := x[n*inLen:(n+1)*inLen], dy[n*outLen:(n+1)*outLen]
		var ahead convPrefetch
		if n+1 < part.N1 && g.strip == height {
			ahead.rest[0], ahead.rest[1] = x[(n+1)*inLen:(n+2)*inLen], dy[(n+1)*outLen:(n+2)*outLen]
			ahead.total, ahead.work = inLen+outLen, work
		}
		for y := 0; y < height; y += g.strip {
			end := min(y+g.strip, height)
			planes := image[min(len(image), y*g.planes.width*g.planes.unit):]
			if !g.planes.inPlace {
				planes = scratch[:g.planes.len()]
				g.planes.fill(g.isa, planes, image, in0, in1, y, end+(g.shape.KH-1)/g.shape.StrideH)
			}
			for i, p := range panels {
				g.rows(partial[g.starts[part.P0+i]:], planes, grad, p, y, end, &ahead)
			}
		}
	}
}

// convGradBytes is the upper bound of the rows of x and dy of a piece, so that they remain in the
// first-level cache for all taps.
const convGradBytes = 48 << 10

// rows adds the output rows y0 ≤ y < y1 to the sums of a panel. planes begins with the plane row of
// y0.
func (g *ConvWeightGrad) rows(partial, planes, dy []float32, p convPanel, y0, y1 int, ahead *convPrefetch) {
	width := g.shape.OutW()
	plane := g.shape.OutH() * width * Block
	t := convGradTile{
		kind: g.kind, blocks: p.blocks, accBlock: g.blockLen(p), dyBlock: plane,
		cols: width, xRow: g.planes.cols * g.planes.unit, dyRow: width * Block,
	}
	in := 1
	if g.kind == convPlanar {
		in = g.shape.C
	}
	piece := max(1, convGradBytes/(4*(p.blocks*t.dyRow+in*t.xRow*len(g.planes.phases))))
	for y := y0; y < y1; y += piece {
		t.rows = min(piece, y1-y)
		t.dy = dy[p.block*plane+y*t.dyRow:]
		source := planes[(y-y0)*t.xRow:]
		switch g.kind {
		case convBlocked:
			g.addBlocks(t, partial, source, p, ahead)
		case convPlanar:
			g.addRuns(t, partial, source, ahead)
		case convLanewise:
			g.addRuns(t, partial, source[p.block*g.planes.blockLen():], ahead)
		}
	}
}

// addBlocks adds a piece of rows for all input channels of a panel, one step at a time.
func (g *ConvWeightGrad) addBlocks(t convGradTile, partial, planes []float32, p convPanel, ahead *convPrefetch) {
	limits := g.isa.convGradLimits()
	for b := p.in0; b < p.in1; b++ {
		used := min(Block, g.shape.C-b*Block)
		for _, step := range g.steps {
			at := ((b-p.in0)*len(g.taps) + step.tap) * Block * Block
			group := limits.chans[step.length][p.blocks]
			t.length, t.chans, t.split = step.length, (used+group-1)/group*group, step.split()
			offset := g.planes.offset(b, g.taps[step.tap])
			t.acc, t.extraAcc = partial[at:], (step.extra-step.tap)*Block*Block
			t.x, t.extraX = planes[offset:], g.planes.offset(b, g.taps[step.extra])-offset
			t.ahead = ahead.take(t.work())
			g.isa.convGrad(&t)
		}
	}
}

// addRuns adds a piece of rows for all runs, as many runs of the same length at a time as the
// kernels allow.
func (g *ConvWeightGrad) addRuns(t convGradTile, partial, planes []float32, ahead *convPrefetch) {
	t.x = planes
	window := g.isa.convGradLimits().window
	each := len(g.offsets) / len(g.runs)
	for i := 0; i < len(g.offsets); i += len(t.offsets) {
		t.length = g.runs[i/each].length
		end := i + 1
		for end < len(g.offsets) && end-i < min(convMaxRuns, window/t.length-1) && g.runs[end/each].length == t.length {
			end++
		}
		t.offsets, t.acc = g.offsets[i:end], partial
		t.ahead = ahead.take(t.work())
		g.isa.convGrad(&t)
		partial = partial[(end-i)*t.length*Block:]
	}
}

// Unpack writes the weights of the panels of a part to dw, [O, C/Groups, KH, KW], from a sum of
// partial sums. It ignores the images and rows of the part.
func (g *ConvWeightGrad) Unpack(dw, sum []float32, part ConvPart) {
	for i := part.P0; i < part.P1; i++ {
		p := g.panels[i]
		for b := range p.blocks {
			g.unpack(dw, sum[g.starts[i]+b*g.blockLen(p):], p, (p.block+b)*Block)
		}
	}
}

// Panel returns the range from ≤ i < to of the elements of a partial sum that belong to panel p.
func (g *ConvWeightGrad) Panel(p int) (from, to int) {
	return g.starts[p], g.starts[p] + g.panels[p].blocks*g.blockLen(g.panels[p])
}

// unpack copies the sums of the 16 output channels o0 ≤ o < o0+16 to dw. With o, c, (i, j) for
// output channel, channel of the group and tap:
//
//	dw[((o·C/Groups + c)·KH + i)·KW + j] = sum[… + o-o0]     see blockLen for the index
func (g *ConvWeightGrad) unpack(dw, sum []float32, p convPanel, o0 int) {
	s := g.shape
	inPerGroup, outPerGroup, taps := s.C/s.Groups, s.O/s.Groups, s.KH*s.KW
	end := min(o0+Block, s.O)
	begin := 0 // index in sum of the run; unused if blocked
	for _, run := range g.runs {
		for o, last := o0, 0; o < end; o = last { // o ≤ … < last are in one group
			group := o / outPerGroup
			last = min((group+1)*outPerGroup, end)
			for c := range inPerGroup {
				channel := group*inPerGroup + c
				at, step := begin, Block // index of the first tap, distance to the next one
				switch g.kind {
				case convBlocked:
					step = Block * Block
					at = ((channel/Block-p.in0)*len(g.taps)+run.tap)*step + channel%Block*Block
				case convPlanar:
					at += channel * run.length * Block
				}
				for k, t := range g.taps[run.tap : run.tap+run.length] {
					lanes := sum[at+k*step+o-o0:][:last-o]
					to := dw[(o*inPerGroup+c)*taps+t.i*s.KW+t.j:]
					for lane, v := range lanes {
						to[lane*inPerGroup*taps] = v
					}
				}
			}
		}
		switch g.kind {
		case convPlanar:
			begin += s.C * run.length * Block
		case convLanewise:
			begin += run.length * Block
		}
	}
}
