package kernels

// convImage is a pass whose result is an image: the forward pass or the input gradient. A result
// pixel is a sum, over taps, of plane pixels at constant offsets. The loops, from the outermost to
// the innermost one:
//
//	image   n, of the part
//	strip   c.strip result rows: fills the planes
//	panel   1, 2 or 4 result blocks
//	grid    result pixels with the same taps
//	chunk   part of the sum, whose weights fit the first-level cache
//	band    the rows of the grid in the strip: the inner loops, see convBand
//
// In this file y and x are a row and a column of the result, and r is a row of the planes.
type convImage struct {
	isa           InstructionSet
	kind          convKind
	tiles         *convTiles // of kind
	planes        convPlanes
	height, width int // of the result
	blocks        int // of the result
	strip         int // result rows of a strip
	grids         []convGrid
	panels        []convPanel
	packedLen     int
	work          int // multiply-adds of an image, in blocks of 16
}

// convGrid is the result pixels (y + k·stepY, x + m·stepX), 0 ≤ k < rows and 0 ≤ m < cols, which
// have the same taps. Pixel (k, m) of the grid reads plane pixel (k + shiftY, m + shiftX) of a tap.
// The forward pass has one grid. The input gradient of a strided convolution has a grid for each
// remainder of the row and the column.
type convGrid struct {
	y, x, stepY, stepX, rows, cols int
	taps                           []convTap

	// paired is nil, or the grid also contains the columns to the right of its own, x + m·stepX +
	// 1. Then taps are the taps of the right columns, in runs of two, and paired those of the left
	// columns, one for each run.
	paired []convTap
}

// convPanel is consecutive result blocks, block ≤ b < block+blocks, that are computed together.
// They read the plane blocks in0 ≤ b < in1.
type convPanel struct {
	block, blocks int
	in0, in1      int
	chunks        [][]convChunk // by grid
}

// convStripBytes is the upper bound of the planes of a strip, so that they fit the second-level
// cache.
const convStripBytes = 192 << 10

// finish plans strips, panels and chunks, after the caller has set planes, grids and the size of
// the result. perGroup and inPerGroup are the numbers of result channels and plane channels of a
// group.
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

// planStrips chooses the number of result rows of a strip: all rows, or as many that the planes of
// the strip have at most convStripBytes.
func (c *convImage) planStrips() {
	spread := 0 // plane rows that the taps of one result row read
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

// convPanels divides the result blocks of each group into panels of at most most(blocks) blocks,
// where blocks is the number of blocks of a group. If the channels of a group are no whole number
// of blocks, each result block is a panel, and it reads the plane blocks of all groups that it has
// channels of.
//
// perGroup and inPerGroup are the numbers of result channels and plane channels of a group, and
// unit is the number of channels of a plane block.
func convPanels(groups, perGroup, inPerGroup, unit int, most func(blocks int) int) []convPanel {
	var panels []convPanel
	span, size := Blocks(groups*perGroup), 1 // blocks of a group, at most size of a panel
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

// convCall is the arguments of one call of compute, for the current image.
type convCall struct {
	dst          []float32
	packed, bias []float32
	floor        float32
	panels       []convPanel
	prefetch     convPrefetch
}

// compute computes a part of dst = max(floor, bias + Σ taps). bias has a value for every result
// channel, padded to whole blocks, or is nil.
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
	call.prefetch.work = c.work * len(call.panels) / len(c.panels)
	for n := part.N0; n < part.N1; n++ {
		image := src[n*srcLen : (n+1)*srcLen]
		call.dst = dst[n*dstLen : (n+1)*dstLen]
		if n+1 < part.N1 && part.Y1-part.Y0 <= c.strip {
			block := srcLen / c.planes.blocks
			call.prefetch.rest[0] = src[(n+1)*srcLen+in0*block : (n+1)*srcLen+in1*block]
			call.prefetch.total = (in1 - in0) * block
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

// rowsIn returns the rows from ≤ k < to of the grid that are result rows y0 ≤ y < y1.
func (g *convGrid) rowsIn(y0, y1 int) (from, to int) {
	from = max(0, (y0-g.y+g.stepY-1)/g.stepY)
	to = min(g.rows, (y1-g.y+g.stepY-1)/g.stepY)
	if y0 <= g.y {
		from = 0
	}
	if y1 <= g.y {
		to = 0
	}
	return from, max(from, to)
}

// planeRows returns the plane rows r0 ≤ r < r1 that the result rows y0 ≤ y < y1 read.
func (c *convImage) planeRows(y0, y1 int) (r0, r1 int) {
	r0 = c.planes.rows
	for i := range c.grids {
		g := &c.grids[i]
		from, to := g.rowsIn(y0, y1)
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

// rows computes the result rows y0 ≤ y < y1 from planes in scratch, whose first row is plane row
// r0.
func (c *convImage) rows(call *convCall, planes []float32, y0, y1, r0 int) {
	pitch := c.planes.cols * c.planes.unit
	for i := range call.panels {
		p := &call.panels[i]
		source := c.source(p, planes)
		for g := range c.grids {
			grid := &c.grids[g]
			from, to := grid.rowsIn(y0, y1)
			if from == to {
				continue
			}
			for k := range p.chunks[g] {
				band := c.band(call, p, p.chunks[g], k, (grid.y+from*grid.stepY)*c.width+grid.x, grid.stepX, grid.stepY*c.width)
				if band.kind == convPaired {
					band.pairColumns()
				}
				band.src, band.srcRow, band.rows = convFrom(source, (from-r0)*pitch), pitch, to-from
				band.ahead = call.prefetch.take(band.work(grid.cols))
				band.compute(c.isa, grid.cols)
			}
		}
	}
}

// pixels computes the result rows y0 ≤ y < y1 from an image that is read in place. Result and image
// have the same pixels, so the rows are one long row.
func (c *convImage) pixels(call *convCall, image []float32, y0, y1 int) {
	cols := (y1 - y0) * c.width
	for i := range call.panels {
		p := &call.panels[i]
		source := c.source(p, image)
		for k := range p.chunks[0] {
			band := c.band(call, p, p.chunks[0], k, y0*c.width, 1, 0)
			band.src, band.rows = source[y0*c.width*c.planes.unit:], 1
			band.ahead = call.prefetch.take(band.work(cols))
			band.compute(c.isa, cols)
		}
	}
}

// source returns the planes from the index on from which the offsets of the panel count: lanewise
// from the block of the panel, otherwise from the first block.
func (c *convImage) source(p *convPanel, planes []float32) []float32 {
	if c.kind == convLanewise {
		return planes[p.block*c.planes.blockLen():]
	}
	return planes
}

// band returns the band of chunk k of a panel, without its source and its number of rows. pixel is
// the index of its first result pixel; step and row are the distances of pixels and rows, in
// pixels. The first chunk begins with the bias or zero, the others with the result so far. The last
// one applies the floor.
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

// convZeros is the initial value of sums without a bias.
var convZeros [Block]float32

// convFrom returns s[i:], empty if s is shorter.
func convFrom(s []float32, i int) []float32 { return s[min(i, len(s)):] }

// all returns the part with all rows and panels of n images.
func (c *convImage) all(n int) ConvPart { return ConvPart{N1: n, Y1: c.height, P1: len(c.panels)} }
