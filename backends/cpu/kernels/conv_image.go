package kernels

// convImage computes the passes whose result is an image, forward and input gradient: every result pixel is a sum over taps of plane
// pixels at constant offsets.
type convImage struct {
	planes        convPlanes
	kind          convKind
	kernel        convRowKernel
	height, width int // of the result
	blocks        int // of the result
	strip         int // result rows that one filling of the planes serves
	grids         []convGrid
	panels        []convPanel
	packedLen     int
}

// convGrid is a lattice of result pixels, every stepY-th row and stepX-th column from (y, x) on, that share their taps. The forward pass has one, the
// input gradient of a strided convolution one for each remainder.
type convGrid struct {
	y, x, stepY, stepX, rows, cols int
	taps                           []convTap
	offsets                        []int // [plane block][tap]: distance in scratch from the plane pixel of the same index
}

// convTap is one tap of a grid: weight (i, j), found at a shift in a phase of the planes.
type convTap struct {
	i, j           int
	phase          int
	shiftY, shiftX int
}

// convPanel is a number of consecutive result blocks that are computed together, from the plane blocks in0 ≤ b < in1.
type convPanel struct {
	block, blocks int
	in0, in1      int
	chunks        [][]convChunk // by grid
}

// convChunk is a piece of the reduction whose weights stay in the first-level cache while the strip passes by.
type convChunk struct {
	entry, entries int // of the grid's offsets
	chans          int // of every entry
	packed         int // where the weights begin: [entry][chan][block][16]
}

const (
	convStripBytes = 192 << 10 // planes of one strip
	convChunkBytes = 24 << 10  // weights of one chunk
)

// finish lays out scratch, offsets, panels and chunks, once planes, grids and sizes are known. perGroup is the number of result channels and
// inPerGroup the number of plane channels of one group.
func (c *convImage) finish(level Level, kind convKind, groups, perGroup, inPerGroup int) {
	c.kind = kind
	c.kernel = convRowKernel{level: level, kind: kind, maxPixels: level.convTile(kind)}
	c.planStrips()
	for g := range c.grids {
		grid := &c.grids[g]
		for b := range c.planes.blocks {
			for _, t := range grid.taps {
				grid.offsets = append(grid.offsets,
					b*c.planes.blockLen()+t.phase*c.planes.phaseLen()+(t.shiftY*c.planes.cols+t.shiftX)*c.planes.unit)
			}
		}
	}
	cols := c.grids[0].cols
	if c.planes.inPlace {
		cols = c.strip * c.width
	}
	c.panels = convPanels(groups, perGroup, inPerGroup, c.planes.unit, func(blocks int) int { return c.kernel.panelBlocks(cols, blocks) })
	for p := range c.panels {
		c.planChunks(&c.panels[p], groups*inPerGroup)
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
	span, size := convBlocks(groups*perGroup), 1
	switch {
	case groups == 1:
		size = most(span)
	case perGroup%convLanes == 0:
		span = perGroup / convLanes
		size = most(span)
	}
	total := convBlocks(groups * perGroup)
	for at := 0; at < total; at += span {
		for b := 0; b < span; {
			n := size
			for n > span-b {
				n /= 2
			}
			first := (at + b) * convLanes / perGroup
			last := (min((at+b+n)*convLanes, groups*perGroup) - 1) / perGroup
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

// planChunks cuts the reduction of a panel into chunks and gives each its place in the packed weights.
func (c *convImage) planChunks(p *convPanel, channels int) {
	for g := range c.grids {
		taps := len(c.grids[g].taps)
		var chunks []convChunk
		add := func(entry, entries, chans int) {
			most := max(1, convChunkBytes/(4*chans*p.blocks*convLanes))
			pieces := (entries + most - 1) / most
			for i := range pieces {
				e0, e1 := entries*i/pieces, entries*(i+1)/pieces
				chunks = append(chunks, convChunk{entry: entry + e0, entries: e1 - e0, chans: chans, packed: c.packedLen})
				c.packedLen += (e1 - e0) * chans * p.blocks * convLanes
			}
		}
		switch {
		case c.kind == convLanewise:
			add(0, taps, 1)
		case c.kind == convPlanar:
			add(p.in0*taps, (p.in1-p.in0)*taps, 1)
		default:
			whole := min(p.in1, channels/convLanes)
			add(p.in0*taps, (whole-p.in0)*taps, convLanes)
			if whole < p.in1 {
				add(whole*taps, taps, (channels%convLanes+3)&^3)
			}
		}
		if len(chunks) == 0 { // no tap at all: the result is init
			chunks = append(chunks, convChunk{chans: 4, packed: c.packedLen})
		}
		p.chunks = append(p.chunks, chunks)
	}
}

// convPacking says where a pass finds weight (result channel, plane channel, tap) in the O×C/Groups×KH×KW array.
type convPacking struct {
	out, in             int // channels
	outStride, inStride int
	groups              int
	groupStride         int // subtracted for every group before this one
	kw                  int
}

// pack writes the weights in the order the kernels read them. Lanes and channels that do not exist, and pairs of different groups, get zero.
func (c *convImage) pack(dst, w []float32, from convPacking) {
	dst = dst[:c.packedLen]
	for _, p := range c.panels {
		for g, chunks := range p.chunks {
			taps := c.grids[g].taps
			for _, chunk := range chunks {
				to := dst[chunk.packed:]
				for e := chunk.entry; e < chunk.entry+chunk.entries; e++ {
					tap := taps[e%len(taps)].i*from.kw + taps[e%len(taps)].j
					in := e / len(taps)
					if c.kind == convBlocked {
						in *= convLanes
					}
					for ch := range chunk.chans {
						for b := range p.blocks {
							row := to[:convLanes]
							to = to[convLanes:]
							if c.kind == convLanewise {
								from.lanewise(row, w, (p.block+b)*convLanes, tap)
							} else {
								from.row(row, w, (p.block+b)*convLanes, in+ch, tap)
							}
						}
					}
				}
			}
		}
	}
}

// row writes the weights of 16 result channels from out on for one plane channel and one tap.
func (from *convPacking) row(row, w []float32, out, in, tap int) {
	clear(row)
	if in >= from.in {
		return
	}
	perGroup := from.out / from.groups
	group := in / (from.in / from.groups)
	first, last := max(out, group*perGroup), min(out+convLanes, (group+1)*perGroup)
	for o := first; o < last; o++ {
		row[o-out] = w[o*from.outStride+in*from.inStride-group*from.groupStride+tap]
	}
}

// lanewise writes the weights of 16 channels, each with itself, for one tap.
func (from *convPacking) lanewise(row, w []float32, channel, tap int) {
	clear(row)
	for c := channel; c < min(channel+convLanes, from.out); c++ {
		row[c-channel] = w[c*(from.outStride+from.inStride-from.groupStride)+tap]
	}
}

// convCall is what one call of run works on, for one image.
type convCall struct {
	dst          []float32
	packed, bias []float32
	floor        float32
	panels       []convPanel
}

// run computes the part: dst = max(floor, bias + Σ taps). Bias holds a value for every result channel, padded to whole blocks, or is nil.
func (c *convImage) run(dst, src, packed, bias []float32, floor float32, scratch []float32, part ConvPart) {
	srcLen := c.planes.blocks * c.planes.height * c.planes.width * c.planes.unit
	dstLen := c.blocks * c.height * c.width * convLanes
	call := convCall{packed: packed[:c.packedLen], bias: bias, floor: floor, panels: c.panels[part.P0:part.P1]}
	if bias != nil {
		call.bias = bias[:c.blocks*convLanes]
	}
	if len(call.panels) == 0 {
		return
	}
	in0, in1 := call.panels[0].in0, call.panels[len(call.panels)-1].in1
	for n := part.N0; n < part.N1; n++ {
		image := src[n*srcLen : (n+1)*srcLen]
		call.dst = dst[n*dstLen : (n+1)*dstLen]
		for y := part.Y0; y < part.Y1; y += c.strip {
			end := min(y+c.strip, part.Y1)
			if c.planes.inPlace {
				c.pixels(&call, image, y, end)
				continue
			}
			r0, r1 := c.planeRows(y, end)
			planes := scratch[:c.planes.len()]
			c.planes.fill(planes, image, in0, in1, r0, r1)
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
			for k := range p.chunks[g] {
				for row := from; row < to; row++ {
					r := c.row(call, p, grid, p.chunks[g], k, (grid.y+row*grid.stepY)*c.width+grid.x)
					r.dstPixel = grid.stepX * convLanes
					if k > 0 {
						r.initPixel = r.dstPixel
					}
					r.src = convFrom(source, (row-r0)*pitch)
					c.kernel.do(&r, c.planes.unit, p.blocks, grid.cols)
				}
			}
		}
	}
}

// pixels computes the same straight from the image, whose rows then follow each other without a seam.
func (c *convImage) pixels(call *convCall, image []float32, y0, y1 int) {
	for i := range call.panels {
		p := &call.panels[i]
		source := c.source(p, image)
		for k := range p.chunks[0] {
			r := c.row(call, p, &c.grids[0], p.chunks[0], k, y0*c.width)
			r.src = source[y0*c.width*c.planes.unit:]
			c.kernel.do(&r, c.planes.unit, p.blocks, (y1-y0)*c.width)
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

// row returns the work for chunk k of a panel at a result pixel, all but its source.
func (c *convImage) row(call *convCall, p *convPanel, grid *convGrid, chunks []convChunk, k, pixel int) convRow {
	plane := c.height * c.width * convLanes
	chunk := &chunks[k]
	r := convRow{
		dst: call.dst[p.block*plane+pixel*convLanes:], dstPixel: convLanes, dstBlock: plane,
		w:       convFrom(call.packed, chunk.packed),
		offsets: grid.offsets[chunk.entry:][:chunk.entries],
		chans:   chunk.chans,
		floor:   convNoFloor,
	}
	if k == len(chunks)-1 {
		r.floor = call.floor
	}
	switch {
	case k > 0:
		r.init, r.initPixel, r.initBlock = r.dst, r.dstPixel, r.dstBlock
	case call.bias != nil:
		r.init, r.initBlock = call.bias[p.block*convLanes:], convLanes
	default:
		r.init = convZeros[:]
	}
	return r
}

// convZeros is where a sum begins that has no bias.
var convZeros [convLanes]float32

// convFrom returns s from element i on, nothing where it is shorter.
func convFrom(s []float32, i int) []float32 { return s[min(i, len(s)):] }
