package kernels

// ConvWeightGrad computes dw from x and dy. See [Level.ConvWeightGrad].
type ConvWeightGrad struct {
	shape         ConvShape
	level         Level
	kind          convKind
	planes        convPlanes
	taps          []convTap // unless blocked: ordered so that taps that are neighbours in a plane follow each other
	panels        []convPanel
	starts        []int // by panel: where it begins in a partial
	partialLen    int
	strip         int   // output rows that one filling of the planes serves
	runs, lengths []int // unless blocked: runs of taps that are neighbours in a plane, of all channels of a planar image: offsets and lengths
}

// ConvWeightGrad plans the gradient of a convolution with respect to its weights, a sum over images. So that it comes out the same for any number of
// workers, it is made of partial sums over fixed chunks of images, merged in order:
//
//	g, err := level.ConvWeightGrad(shape)
//	k := g.Chunks(n)
//	partials := Floats(k * g.PartialLen())
//	for i := range k {                                            // in any order, and at once with a scratch for each
//		n0, n1 := g.Chunk(i, n)
//		g.Run(partials[i*g.PartialLen():][:g.PartialLen()], x, dy, scratch, g.All(n0, n1))
//	}
//	g.Merge(dw, partials, k)
//
// Where there are few chunks, because a partial is large, a part may also divide the panels of output channels.
func (l Level) ConvWeightGrad(s ConvShape) (*ConvWeightGrad, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	g := &ConvWeightGrad{shape: s, level: l}
	g.planes, g.taps = s.inputPlanes()
	switch {
	case s.Planar:
		g.kind = convPlanar
	case s.depthwise():
		g.kind = convLanewise
	}
	g.planStrips()
	if g.kind != convBlocked {
		g.taps = s.neighbours(g.taps)
		g.planRuns()
	}
	g.panels = convPanels(s.Groups, s.O/s.Groups, s.C/s.Groups, g.planes.unit,
		func(blocks int) int {
			if g.kind != convBlocked {
				return 1
			}
			return min(blocks, l.convGradLimits().blocks)
		})
	for _, p := range g.panels {
		g.starts = append(g.starts, g.partialLen)
		g.partialLen += p.blocks * g.blockLen(p)
	}
	return g, nil
}

// neighbours orders taps by column phase, kernel row, column: those that follow each other in a plane follow each other, and runs of equal length do.
func (s ConvShape) neighbours(taps []convTap) []convTap {
	ordered := make([]convTap, 0, len(taps))
	for b := range min(s.StrideW, s.KW) {
		for i := range s.KH {
			for j := b; j < s.KW; j += s.StrideW {
				ordered = append(ordered, taps[i*s.KW+j])
			}
		}
	}
	return ordered
}

// planStrips chooses how many output rows share a filling of the planes.
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

// planRuns finds the runs of neighbouring taps, no longer than the kernels take.
func (g *ConvWeightGrad) planRuns() {
	longest := min(convMaxRun, g.level.convGradLimits().runSums)
	blocks := g.planes.blocks
	if g.kind == convLanewise {
		blocks = 1 // the others have the same runs further on
	}
	for b := range blocks {
		for i, t := range g.taps {
			last := len(g.runs) - 1
			if i > 0 && g.taps[i-1].i == t.i && g.taps[i-1].phase == t.phase && g.lengths[last] < longest {
				g.lengths[last]++
				continue
			}
			g.runs, g.lengths = append(g.runs, g.offset(b, t)), append(g.lengths, 1)
		}
	}
}

// offset returns the distance in scratch from a plane pixel to the one that a tap reads.
func (g *ConvWeightGrad) offset(block int, t convTap) int {
	return block*g.planes.blockLen() + t.phase*g.planes.phaseLen() + (t.shiftY*g.planes.cols+t.shiftX)*g.planes.unit
}

// blockLen returns the length of a partial's sums for one output block of a panel: [input block][tap][16 input channels][16 output channels],
// planar [channel][tap][16], lanewise [tap][16].
func (g *ConvWeightGrad) blockLen(p convPanel) int {
	switch g.kind {
	case convBlocked:
		return (p.in1 - p.in0) * len(g.taps) * convLanes * convLanes
	case convPlanar:
		return g.shape.C * len(g.taps) * convLanes
	default:
		return len(g.taps) * convLanes
	}
}

// Shape returns the planned shape.
func (g *ConvWeightGrad) Shape() ConvShape { return g.shape }

// PartialLen returns the length of one partial sum.
func (g *ConvWeightGrad) PartialLen() int { return g.partialLen }

// ScratchLen returns the length of the scratch of one call of Run; it may be 0.
func (g *ConvWeightGrad) ScratchLen() int { return g.planes.len() }

// Panels returns the number of panels of output channels, the units in which a part divides them.
func (g *ConvWeightGrad) Panels() int { return len(g.panels) }

const (
	convMostPartials     = 8       // partial sums of a batch
	convMostPartialBytes = 8 << 20 // all of them
)

// Chunks returns the number of partial sums for a batch of n images: a function of n and the shape alone.
func (g *ConvWeightGrad) Chunks(n int) int {
	return max(1, min(n, convMostPartials, convMostPartialBytes/(4*g.partialLen)))
}

// Chunk returns the images n0 ≤ n < n1 of the i-th of Chunks(n) partial sums.
func (g *ConvWeightGrad) Chunk(i, n int) (n0, n1 int) {
	k := g.Chunks(n)
	return i * n / k, (i + 1) * n / k
}

// All returns the part that is all panels of the images n0 ≤ n < n1. Rows cannot be divided: Y0 and Y1 of a part are ignored.
func (g *ConvWeightGrad) All(n0, n1 int) ConvPart {
	return ConvPart{N0: n0, N1: n1, Y1: g.shape.OutH(), P1: len(g.panels)}
}

// Run sets the part's panels of partial to the sum over the part's images. x and dy begin at image 0 of the part's numbering; dy is in blocks of 16
// channels, x in blocks or planar as the shape says. Scratch holds ScratchLen values of any content.
func (g *ConvWeightGrad) Run(partial, x, dy, scratch []float32, part ConvPart) {
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
	for n := part.N0; n < part.N1; n++ {
		image, grad := x[n*inLen:(n+1)*inLen], dy[n*outLen:(n+1)*outLen]
		for y := 0; y < height; y += g.strip {
			end := min(y+g.strip, height)
			planes := image[min(len(image), y*g.planes.width*g.planes.unit):]
			if !g.planes.inPlace {
				planes = scratch[:g.planes.len()]
				g.planes.fill(planes, image, in0, in1, y, end+(g.shape.KH-1)/g.shape.StrideH)
			}
			for i, p := range panels {
				g.rows(partial[g.starts[part.P0+i]:], planes, grad, p, y, end)
			}
		}
	}
}

// convGradBytes is how much of x and dy a piece of rows may take, to stay in the first-level cache while all taps pass over it.
const convGradBytes = 32 << 10

// rows adds the output rows y0 ≤ y < y1 to a panel's sums.
func (g *ConvWeightGrad) rows(partial, planes, dy []float32, p convPanel, y0, y1 int) {
	width := g.shape.OutW()
	plane := g.shape.OutH() * width * convLanes
	t := convGradTile{
		kind: g.kind, blocks: p.blocks, accBlock: g.blockLen(p), dyBlock: plane,
		cols: width, xRow: g.planes.cols * g.planes.unit, dyRow: width * convLanes,
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
			g.addTaps(t, partial, source, p)
		case convPlanar:
			g.addRuns(t, partial, source)
		case convLanewise:
			g.addRuns(t, partial, source[p.block*g.planes.blockLen():])
		}
	}
}

// addTaps adds a piece of rows for all input channels of a panel, a tap at a time.
func (g *ConvWeightGrad) addTaps(t convGradTile, partial, planes []float32, p convPanel) {
	t.chans = g.level.convGradLimits().sums / p.blocks
	for b := p.in0; b < p.in1; b++ {
		used := min(convLanes, g.shape.C-b*convLanes)
		for k, tap := range g.taps {
			at := ((b-p.in0)*len(g.taps) + k) * convLanes * convLanes
			for c := 0; c < used; c += t.chans {
				t.acc, t.x = partial[at+c*convLanes:], planes[g.offset(b, tap)+c:]
				g.level.convGrad(&t)
			}
		}
	}
}

// addRuns adds a piece of rows for all runs of taps, as many of equal length at a time as the kernels take.
func (g *ConvWeightGrad) addRuns(t convGradTile, partial, planes []float32) {
	t.x = planes
	sums := g.level.convGradLimits().runSums
	at := 0
	for i := 0; i < len(g.runs); {
		t.length = g.lengths[i]
		end := i + 1
		for end < len(g.runs) && end-i < min(convMaxRuns, sums/t.length) && g.lengths[end] == t.length {
			end++
		}
		t.offsets, t.acc = g.runs[i:end], partial[at:]
		g.level.convGrad(&t)
		at += (end - i) * t.length * convLanes
		i = end
	}
}

// Merge adds the first k partial sums in order and writes dw, [O, C/Groups, KH, KW]. It uses the first partial as its workspace.
func (g *ConvWeightGrad) Merge(dw, partials []float32, k int) {
	dw, partials = dw[:g.shape.WeightLen()], partials[:k*g.partialLen]
	sum := partials[:g.partialLen]
	for i := 1; i < k; i++ {
		for j, v := range partials[i*g.partialLen:][:g.partialLen] {
			sum[j] += v
		}
	}
	for i, p := range g.panels {
		for b := range p.blocks {
			g.unpack(dw, sum[g.starts[i]+b*g.blockLen(p):], p, (p.block+b)*convLanes)
		}
	}
}

// unpack writes the weights of 16 output channels from o0 on.
func (g *ConvWeightGrad) unpack(dw, sum []float32, p convPanel, o0 int) {
	s := g.shape
	inPerGroup, outPerGroup, taps := s.C/s.Groups, s.O/s.Groups, s.KH*s.KW
	for o := o0; o < min(o0+convLanes, s.O); o++ {
		group := o / outPerGroup
		for c := range inPerGroup {
			row := dw[(o*inPerGroup+c)*taps:][:taps]
			channel := group*inPerGroup + c
			var at, step int // of the first tap in sum, from one tap to the next
			switch g.kind {
			case convBlocked:
				step = convLanes * convLanes
				at = (channel/convLanes-p.in0)*len(g.taps)*step + channel%convLanes*convLanes
			case convPlanar:
				step = convLanes
				at = channel * len(g.taps) * step
			case convLanewise:
				step = convLanes
			}
			for k, t := range g.taps {
				row[t.i*s.KW+t.j] = sum[at+k*step+o-o0]
			}
		}
	}
}
