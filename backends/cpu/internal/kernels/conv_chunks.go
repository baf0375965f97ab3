package kernels

// convChunk is a piece of the reduction whose weights stay in the first-level cache while the strip passes by.
type convChunk struct {
	kind       convKind
	run, chans int         // of every entry
	entries    []convEntry // in the order of the sum
	offsets    []int       // by entry, two where split: distance in scratch from the plane pixel of the same index
	packed     int         // where the weights begin: [entry][chan][tap of run][block][16]
}

// convEntry is the taps of a step, of a plane block.
type convEntry struct {
	in   int
	step convStep
}

// convChunkBytes is what the weights of one chunk may take of the first-level cache.
const convChunkBytes = 24 << 10

// planChunks cuts the reduction of a panel over a grid's taps into chunks and gives each its place in the packed weights: the longest runs first.
func (c *convImage) planChunks(p *convPanel, grid *convGrid, channels int) []convChunk {
	var chunks []convChunk
	longest, blocks := c.tiles.longest(p.blocks), p.blocks
	if grid.paired != nil {
		longest = 2
	}
	split := c.kind == convBlocked && grid.paired == nil && c.isa.convTiles(convSplit)[3][blocks] > 0
	steps := convSteps(convRuns(grid.taps, longest), split)
	add := func(kind convKind, run, in0, in1, chans int) {
		var entries []convEntry
		var offsets []int
		each := 1 // offsets of an entry
		for in := in0; in < in1; in++ {
			for _, s := range steps {
				switch {
				case kind == convSplit && s.pair():
					each = 2
					offsets = append(offsets, c.planes.offset(in, grid.taps[s.tap]), c.planes.offset(in, grid.taps[s.extra]))
				case kind != convSplit && s.length == run && !s.pair():
					offsets = append(offsets, c.planes.offset(in, grid.taps[s.tap]))
				default:
					continue
				}
				entries = append(entries, convEntry{in, s})
			}
		}
		size := chans * run * blocks * Block // of an entry's weights
		if kind == convPaired {
			size = chans * 3 * Block
		}
		most := max(1, convChunkBytes/(4*size))
		pieces := (len(entries) + most - 1) / most
		for i := range pieces {
			e0, e1 := len(entries)*i/pieces, len(entries)*(i+1)/pieces
			chunks = append(chunks, convChunk{
				kind: kind, run: run, chans: chans, entries: entries[e0:e1], offsets: offsets[e0*each : e1*each], packed: c.packedLen,
			})
			c.packedLen += (e1 - e0) * size
		}
	}
	blocked := func(kind convKind, run int) {
		whole := min(p.in1, channels/Block)
		add(kind, run, p.in0, whole, Block)
		if whole < p.in1 {
			add(kind, run, whole, p.in1, (channels%Block+3)&^3)
		}
	}
	switch {
	case grid.paired != nil:
		blocked(convPaired, 2)
	case split:
		blocked(convSplit, 3)
	}
	for run := convMaxTaps; run > 0 && grid.paired == nil; run-- {
		switch c.kind {
		case convLanewise: // a panel's own block only, from which its offsets count
			add(c.kind, run, 0, 1, 1)
		case convPlanar:
			add(c.kind, run, p.in0, p.in1, 1)
		default:
			blocked(c.kind, run)
		}
	}
	if len(chunks) == 0 { // no tap at all: the result is init
		chunks = append(chunks, convChunk{kind: c.kind, run: 1, chans: 4, packed: c.packedLen})
	}
	return chunks
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
			for _, chunk := range chunks {
				c.packChunk(dst[chunk.packed:], w, from, p, &c.grids[g], chunk)
			}
		}
	}
}

func (c *convImage) packChunk(dst, w []float32, from convPacking, p convPanel, grid *convGrid, chunk convChunk) {
	for _, e := range chunk.entries {
		in := e.in
		if c.kind == convBlocked {
			in *= Block
		}
		for ch := range chunk.chans {
			if chunk.kind == convPaired {
				t := grid.paired[e.step.tap/2]
				from.row(dst[:Block], w, p.block*Block, in+ch, t.i*from.kw+t.j)
				dst = dst[Block:]
			}
			for i := range chunk.run {
				t := grid.taps[e.step.extra]
				if i < e.step.length {
					t = grid.taps[e.step.tap+i]
				}
				tap := t.i*from.kw + t.j
				for b := range p.blocks {
					row := dst[:Block]
					dst = dst[Block:]
					if c.kind == convLanewise {
						from.lanewise(row, w, (p.block+b)*Block, tap)
					} else {
						from.row(row, w, (p.block+b)*Block, in+ch, tap)
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
	group, first, last := 0, out, min(out+Block, from.out)
	if from.groups > 1 {
		perGroup := from.out / from.groups
		group = in / (from.in / from.groups)
		first, last = max(first, group*perGroup), min(last, (group+1)*perGroup)
	}
	if first >= last {
		return
	}
	w = w[first*from.outStride+in*from.inStride-group*from.groupStride+tap:]
	for i := range row[first-out : last-out] {
		row[first-out+i] = w[i*from.outStride]
	}
}

// lanewise writes the weights of 16 channels, each with itself, for one tap.
func (from *convPacking) lanewise(row, w []float32, channel, tap int) {
	clear(row)
	for c := channel; c < min(channel+Block, from.out); c++ {
		row[c-channel] = w[c*(from.outStride+from.inStride-from.groupStride)+tap]
	}
}
