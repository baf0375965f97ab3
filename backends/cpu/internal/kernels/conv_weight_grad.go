package kernels

import "slices"

// ConvWeightGrad computes dw from x and dy. See [InstructionSet.ConvWeightGrad].
type ConvWeightGrad struct {
	shape      ConvShape
	isa        InstructionSet
	kind       convKind
	planes     convPlanes
	taps       []convTap // in the order of sortTaps
	panels     []convPanel
	starts     []int // by panel: where it begins in a partial
	partialLen int
	strip      int        // output rows that one filling of the planes serves
	runs       []convRun  // of taps; longest first unless blocked
	steps      []convStep // blocked: runs in pairs where that is faster
	offsets    []int      // unless blocked: of the runs of every channel of a planar image, or of one block
}

// ConvWeightGrad plans the gradient of a convolution with respect to its weights, a sum over images. So that it comes out the same for any number of
// workers, it is made of partial sums over fixed chunks of images, merged in order:
//
//	g, err := level.ConvWeightGrad(shape)
//	k := g.Chunks(n)
//	partials := Floats(k * g.PartialLen())
//	for i := range k {                                            // in any order, and at once with a scratch for each
//		n0, n1 := g.Chunk(i, n)
//		g.Compute(partials[i*g.PartialLen():][:g.PartialLen()], x, dy, scratch, g.All(n0, n1))
//	}
//	g.Merge(dw, partials, k)
//
// Where there are few chunks, because a partial is large, a part may also divide the panels of output channels.
func (isa InstructionSet) ConvWeightGrad(s ConvShape) (*ConvWeightGrad, error) {
	if err := s.Validate(); err != nil {
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

// planRuns cuts the taps into runs that the kernels take.
func (g *ConvWeightGrad) planRuns() {
	sortTaps(g.taps)
	limits := g.isa.convGradLimits()
	longest := limits.longest
	if g.kind != convBlocked {
		longest = min(convMaxRun, limits.window/2)
	}
	g.runs = convRuns(g.taps, min(longest, g.shape.OutW()+1)) // a kernel begins with run-1 pixels of a row
	if g.kind == convBlocked {
		g.steps = convSteps(g.runs, limits.pairs)
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

// blockLen returns the length of a partial's sums for one output block of a panel: [input block][tap][16 input channels][16 output channels],
// planar [run][channel][tap of run][16], lanewise [run][tap of run][16].
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

// Shape returns the planned shape.
func (g *ConvWeightGrad) Shape() ConvShape { return g.shape }

// PartialLen returns the length of one partial sum.
func (g *ConvWeightGrad) PartialLen() int { return g.partialLen }

// ScratchLen returns the length of the scratch of one call of Compute; it may be 0.
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

// Compute sets the part's panels of partial to the sum over the part's images. x and dy begin at image 0 of the part's numbering; dy is in blocks of 16
// channels, x in blocks or planar as the shape says. Scratch holds ScratchLen values of any content.
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
		var ahead convGradAhead
		if n+1 < part.N1 && g.strip == height {
			ahead = convGradAhead{x[(n+1)*inLen : (n+2)*inLen], dy[(n+1)*outLen : (n+2)*outLen], inLen + outLen, work}
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

// convGradAhead is what of the next image is still to be fetched into the cache.
type convGradAhead struct {
	x, dy       []float32
	fetch, work int // all that is to be fetched, and all multiply-adds of an image in blocks of 16
}

// take gives a tile its share, by how much of the work it is.
func (a *convGradAhead) take(t *convGradTile) {
	taps := t.length
	if t.pair {
		taps++
	}
	work := t.rows * t.cols * taps * max(t.blocks*t.chans, len(t.offsets))
	share := (a.fetch*work/max(1, a.work) + Block) &^ (Block - 1)
	from := &a.x
	if len(a.x) == 0 {
		from = &a.dy
	}
	share = min(len(*from), share)
	t.ahead, *from = (*from)[:share], (*from)[share:]
}

// convGradBytes is how much of x and dy a piece of rows may take, to stay in the first-level cache while all taps pass over it.
const convGradBytes = 48 << 10

// rows adds the output rows y0 ≤ y < y1 to a panel's sums.
func (g *ConvWeightGrad) rows(partial, planes, dy []float32, p convPanel, y0, y1 int, ahead *convGradAhead) {
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

// addBlocks adds a piece of rows for all input channels of a panel, a run of taps at a time.
func (g *ConvWeightGrad) addBlocks(t convGradTile, partial, planes []float32, p convPanel, ahead *convGradAhead) {
	limits := g.isa.convGradLimits()
	for b := p.in0; b < p.in1; b++ {
		used := min(Block, g.shape.C-b*Block)
		for _, step := range g.steps {
			at := ((b-p.in0)*len(g.taps) + step.tap) * Block * Block
			group := limits.chans[step.length][p.blocks]
			t.length, t.chans, t.pair = step.length, (used+group-1)/group*group, step.pair()
			offset := g.planes.offset(b, g.taps[step.tap])
			t.acc, t.extraAcc = partial[at:], (step.extra-step.tap)*Block*Block
			t.x, t.extraX = planes[offset:], g.planes.offset(b, g.taps[step.extra])-offset
			ahead.take(&t)
			g.isa.convGrad(&t)
		}
	}
}

// addRuns adds a piece of rows for all runs of taps, as many of equal length at a time as the kernels take.
func (g *ConvWeightGrad) addRuns(t convGradTile, partial, planes []float32, ahead *convGradAhead) {
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
		ahead.take(&t)
		g.isa.convGrad(&t)
		partial = partial[(end-i)*t.length*Block:]
	}
}

// Merge adds the first k partial sums in order and writes dw, [O, C/Groups, KH, KW]. It uses the first partial as its workspace.
func (g *ConvWeightGrad) Merge(dw, partials []float32, k int) {
	dw, partials = dw[:g.shape.WeightLen()], partials[:k*g.partialLen]
	sum := partials[:g.partialLen]
	for i := 1; i < k; i++ {
		g.isa.Add(sum, sum, partials[i*g.partialLen:][:g.partialLen])
	}
	for i, p := range g.panels {
		for b := range p.blocks {
			g.unpack(dw, sum[g.starts[i]+b*g.blockLen(p):], p, (p.block+b)*Block)
		}
	}
}

// unpack writes the weights of 16 output channels from o0 on.
func (g *ConvWeightGrad) unpack(dw, sum []float32, p convPanel, o0 int) {
	s := g.shape
	inPerGroup, outPerGroup, taps := s.C/s.Groups, s.O/s.Groups, s.KH*s.KW
	end := min(o0+Block, s.O)
	begin := 0 // of the run, unless blocked
	for _, run := range g.runs {
		for o, last := o0, 0; o < end; o = last { // o ≤ … < last are of one group
			group := o / outPerGroup
			last = min((group+1)*outPerGroup, end)
			for c := range inPerGroup {
				channel := group*inPerGroup + c
				at, step := begin, Block // of the first tap, from one to the next
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
