package kernels

// convImage computes the passes whose result is an image, forward and input gradient: every result pixel is a sum over taps of plane
// pixels at constant offsets.
type convImage struct {
	isa           InstructionSet
	kind          convKind
	tiles         *convTiles
	planes        convPlanes
	height, width int // of the result
	blocks        int // of the result
	strip         int // result rows that one filling of the planes serves
	grids         []convGrid
	panels        []convPanel
	packedLen     int
	work          int // multiply-adds of an image, in blocks of 16
}

// convGrid is a lattice of result pixels, every stepY-th row and stepX-th column from (y, x) on, that share their taps. The forward pass has one, the
// input gradient of a strided convolution one for each remainder.
type convGrid struct {
	y, x, stepY, stepX, rows, cols int
	taps                           []convTap
	paired                         []convTap // where the column to the right of each belongs to the grid too: its own taps, one for every two of taps
}

// convPanel is a number of consecutive result blocks that are computed together, from the plane blocks in0 ≤ b < in1.
type convPanel struct {
	block, blocks int
	in0, in1      int
	chunks        [][]convChunk // by grid
}

// convStripBytes is what the planes of one strip may take of the second-level cache.
const convStripBytes = 192 << 10

// finish lays out scratch, offsets, panels and chunks, once planes, grids and sizes are known. perGroup is the number of result channels and
// inPerGroup the number of plane channels of one group.
func (c *convImage) finish(isa InstructionSet, kind convKind, groups, perGroup, inPerGroup int) {
	c.isa, c.kind, c.tiles = isa, kind, isa.convTiles(kind)
	c.planStrips()
	longest := 0
	paired := false
	for _, g := range c.grids {
		paired = paired || g.paired != nil
		sortTaps(g.taps)
		sortTaps(g.paired)
		for _, r := range convRuns(g.taps, convMaxTaps) {
			longest = max(longest, r.length)
		}
	}
	cols := c.grids[0].cols
	if c.planes.inPlace {
		cols = c.strip * c.width
	}
	c.panels = convPanels(groups, perGroup, inPerGroup, c.planes.unit, func(blocks int) int {
		if paired {
			return 1
		}
		return c.tiles.blocks(cols, longest, blocks)
	})
	for p := range c.panels {
		for g := range c.grids {
			c.panels[p].chunks = append(c.panels[p].chunks, c.planChunks(&c.panels[p], &c.grids[g], groups*inPerGroup))
			for _, chunk := range c.panels[p].chunks[g] {
				c.work += c.grids[g].rows * c.grids[g].cols * c.panels[p].blocks * len(chunk.entries) * chunk.chans * chunk.run
			}
		}
	}
}

// planStrips chooses how many result rows share a filling of the planes.
func (c *convImage) planStrips() {
	spread := 0
	for _, g := range c.grids {
		for _, t := range g.taps {
			spread = max(spread, t.shiftY+1)
		}
	}
	step := c.grids[0].stepY
	rows := func(strip int) int { return min((strip-1)/step+1+spread, c.planes.rows) }
	c.strip = c.height
	for n := 2; c.strip > 1; n++ {
		c.planes.stripRows = rows(c.strip)
		bytes := 4 * c.planes.len()
		if c.planes.inPlace {
			bytes = 4 * c.planes.blocks * c.strip * c.planes.width * c.planes.unit
		}
		if bytes <= convStripBytes {
			break
		}
		c.strip = (c.height + n - 1) / n
	}
	c.planes.stripRows = rows(c.strip)
}

// convPanels divides the result channels into panels of at most most(blocks) blocks that do not straddle groups. A group that is no whole number of
// blocks makes every block a panel, reading whatever plane blocks its groups touch.
func convPanels(groups, perGroup, inPerGroup, unit int, most func(blocks int) int) []convPanel {
	var panels []convPanel
	span, size := Blocks(groups*perGroup), 1
	switch {
	case groups == 1:
		size = most(span)
	case perGroup%Block == 0:
		span = perGroup / Block
		size = most(span)
	}
	total := Blocks(groups * perGroup)
	for at := 0; at < total; at += span {
		for b := 0; b < span; {
			n := size
			for n > span-b {
				n /= 2
			}
			first := (at + b) * Block / perGroup
			last := (min((at+b+n)*Block, groups*perGroup) - 1) / perGroup
			panels = append(panels, convPanel{
				block: at + b, blocks: n,
				in0: first * inPerGroup / unit,
				in1: ((last+1)*inPerGroup + unit - 1) / unit,
			})
			b += n
		}
	}
	return panels
}

// convCall is what one call of compute works on, for one image.
type convCall struct {
	dst          []float32
	packed, bias []float32
	floor        float32
	panels       []convPanel
	ahead        []float32 // of the next image: what is still to be fetched into the cache
	fetch, work  int       // all that is to be fetched, and all multiply-adds of an image in blocks of 16
}

// take gives a band its share of what is to be fetched ahead, by how much of the call's work it is: spread evenly, fetching disturbs nothing.
func (call *convCall) take(band *convBand, cols int) {
	work := band.rows * cols * band.blocks * band.entries() * band.chans * band.run
	share := min(len(call.ahead), (call.fetch*work/max(1, call.work)+Block)&^(Block-1))
	band.ahead, call.ahead = call.ahead[:share], call.ahead[share:]
}

// compute computes the part: dst = max(floor, bias + Σ taps). Bias holds a value for every result channel, padded to whole blocks, or is nil.
func (c *convImage) compute(dst, src, packed, bias []float32, floor float32, scratch []float32, part ConvPart) {
	srcLen := c.planes.blocks * c.planes.height * c.planes.width * c.planes.unit
	dstLen := c.blocks * c.height * c.width * Block
	call := convCall{packed: packed[:c.packedLen], bias: bias, floor: floor, panels: c.panels[part.P0:part.P1]}
	if bias != nil {
		call.bias = bias[:c.blocks*Block]
	}
	if len(call.panels) == 0 {
		return
	}
	in0, in1 := call.panels[0].in0, call.panels[len(call.panels)-1].in1
	call.work = c.work * len(call.panels) / len(c.panels)
	for n := part.N0; n < part.N1; n++ {
		image := src[n*srcLen : (n+1)*srcLen]
		call.dst = dst[n*dstLen : (n+1)*dstLen]
		if n+1 < part.N1 && part.Y1-part.Y0 <= c.strip {
			block := srcLen / c.planes.blocks
			call.ahead = src[(n+1)*srcLen+in0*block : (n+1)*srcLen+in1*block]
			call.fetch = len(call.ahead)
		}
		for y := part.Y0; y < part.Y1; y += c.strip {
			end := min(y+c.strip, part.Y1)
			if c.planes.inPlace {
				c.pixels(&call, image, y, end)
				continue
			}
			r0, r1 := c.planeRows(y, end)
			planes := scratch[:c.planes.len()]
			c.planes.fill(c.isa, planes, image, in0, in1, r0, r1)
			c.rows(&call, planes, y, end, r0)
		}
	}
}

// span returns the grid's rows that lie in y0 ≤ y < y1 of the result.
func (g *convGrid) span(y0, y1 int) (int, int) {
	from := max(0, (y0-g.y+g.stepY-1)/g.stepY)
	to := min(g.rows, (y1-g.y+g.stepY-1)/g.stepY)
	if y0 <= g.y {
		from = 0
	}
	if y1 <= g.y {
		to = 0
	}
	return from, max(from, to)
}

// planeRows returns the plane rows that the result rows y0 ≤ y < y1 read.
func (c *convImage) planeRows(y0, y1 int) (r0, r1 int) {
	r0 = c.planes.rows
	for i := range c.grids {
		g := &c.grids[i]
		from, to := g.span(y0, y1)
		if from == to {
			continue
		}
		r0 = min(r0, from)
		for _, t := range g.taps {
			r1 = max(r1, to+t.shiftY)
		}
	}
	return r0, max(r0, r1)
}

// rows computes the result rows y0 ≤ y < y1 from planes whose first row is plane row r0.
func (c *convImage) rows(call *convCall, planes []float32, y0, y1, r0 int) {
	pitch := c.planes.cols * c.planes.unit
	for i := range call.panels {
		p := &call.panels[i]
		source := c.source(p, planes)
		for g := range c.grids {
			grid := &c.grids[g]
			from, to := grid.span(y0, y1)
			if from == to {
				continue
			}
			for k := range p.chunks[g] {
				band := c.band(call, p, p.chunks[g], k, (grid.y+from*grid.stepY)*c.width+grid.x, grid.stepX, grid.stepY*c.width)
				if band.kind == convPaired {
					band.pair()
				}
				band.src, band.srcRow, band.rows = convFrom(source, (from-r0)*pitch), pitch, to-from
				call.take(&band, grid.cols)
				band.compute(c.isa, grid.cols)
			}
		}
	}
}

// pixels computes the same straight from the image, whose rows then follow each other without a seam: a single long one.
func (c *convImage) pixels(call *convCall, image []float32, y0, y1 int) {
	for i := range call.panels {
		p := &call.panels[i]
		source := c.source(p, image)
		for k := range p.chunks[0] {
			band := c.band(call, p, p.chunks[0], k, y0*c.width, 1, 0)
			band.src, band.rows = source[y0*c.width*c.planes.unit:], 1
			call.take(&band, (y1-y0)*c.width)
			band.compute(c.isa, (y1-y0)*c.width)
		}
	}
}

// source returns the planes from where the offsets of the panel's entries count.
func (c *convImage) source(p *convPanel, planes []float32) []float32 {
	if c.kind == convLanewise {
		return planes[p.block*c.planes.blockLen():]
	}
	return planes
}

// band returns the work for chunk k of a panel from a result pixel on, with the distances of pixels and rows in pixels: all but its source.
func (c *convImage) band(call *convCall, p *convPanel, chunks []convChunk, k, pixel, step, row int) convBand {
	plane := c.height * c.width * Block
	chunk := &chunks[k]
	band := convBand{
		kind: chunk.kind, run: chunk.run, blocks: p.blocks,
		dst: call.dst[p.block*plane+pixel*Block:], dstPixel: step * Block, dstBlock: plane, dstRow: row * Block,
		w: convFrom(call.packed, chunk.packed), offsets: chunk.offsets, chans: chunk.chans, floor: convNoFloor,
	}
	if k == len(chunks)-1 {
		band.floor = call.floor
	}
	switch {
	case k > 0:
		band.init, band.initPixel, band.initBlock, band.initRow = band.dst, band.dstPixel, band.dstBlock, band.dstRow
	case call.bias != nil:
		band.init, band.initBlock = call.bias[p.block*Block:], Block
	default:
		band.init = convZeros[:]
	}
	return band
}

// convZeros is where a sum begins that has no bias.
var convZeros [Block]float32

// convFrom returns s from element i on, nothing where it is shorter.
func convFrom(s []float32, i int) []float32 { return s[min(i, len(s)):] }
