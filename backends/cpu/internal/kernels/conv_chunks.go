package kernels

// convChunk is a part of the sum of a panel over entries: so many that their weights fit the
// first-level cache. All entries of a chunk have the same kind, length of runs and number of
// channels.
type convChunk struct {
	kind       convKind
	run, chans int         // of every entry
	entries    []convEntry // in the order of summation
	offsets    []int       // by entry, two if split: see convPlanes.offset
	packed     int         // index of the first weight in the packed weights
}

// convEntry is a step of one plane block: the plane channels from in·16 on, or plane channel in of
// a planar image.
type convEntry struct {
	in   int
	step convStep
}

// convChunkBytes is the upper bound of the weights of a chunk.
const convChunkBytes = 24 << 10

// planChunks cuts the sum of a panel over the taps of a grid into chunks, and assigns each chunk
// its part of the packed weights. channels is the number of plane channels. The order of summation
// is that of kernels, then of ranges, then of the plane blocks, then of the taps.
func (c *convImage) planChunks(p *convPanel, grid *convGrid, channels int) []convChunk {
	longest := c.tiles.longest(p.blocks)
	if grid.paired != nil {
		longest = 2
	}
	split := c.kind == convBlocked && grid.paired == nil && c.isa.convTiles(convSplit)[3][p.blocks] > 0
	steps := convSteps(convRuns(grid.taps, longest), split)
	var chunks []convChunk
	for _, k := range c.bandKernels(grid, split) {
		for _, r := range p.ranges(k.kind, channels) {
			all := convChunk{kind: k.kind, run: k.run, chans: r.chans}
			for in := r.in0; in < r.in1; in++ {
				for _, s := range steps {
					if k.computes(s) {
						all.add(in, s, c.planes.stepOffsets(in, s, grid.taps))
					}
				}
			}
			chunks = append(chunks, c.cutChunk(all, p.blocks)...)
		}
	}
	if len(chunks) == 0 { // no tap: the result is init
		chunks = append(chunks, convChunk{kind: c.kind, run: 1, chans: 4, packed: c.packedLen})
	}
	return chunks
}

// convBandKernel is the kind and the length of runs of a band kernel.
type convBandKernel struct {
	kind convKind
	run  int
}

// bandKernels returns the kernels that may be needed for the taps of a grid, those with the longest
// runs first.
func (c *convImage) bandKernels(grid *convGrid, split bool) []convBandKernel {
	if grid.paired != nil {
		return []convBandKernel{{convPaired, 2}}
	}
	var kernels []convBandKernel
	if split {
		kernels = append(kernels, convBandKernel{convSplit, 3})
	}
	for run := convMaxTaps; run > 0; run-- {
		kernels = append(kernels, convBandKernel{c.kind, run})
	}
	return kernels
}

// computes reports whether the kernel is that of a step.
func (k convBandKernel) computes(s convStep) bool {
	if k.kind == convSplit {
		return s.split()
	}
	return s.length == k.run && !s.split()
}

// convRange is the plane blocks in0 ≤ in < in1, and the number of channels of each.
type convRange struct{ in0, in1, chans int }

// ranges divides the plane blocks of a panel: the whole blocks, and a last block of fewer channels.
// The number of channels is rounded up to a multiple of 4.
func (p *convPanel) ranges(kind convKind, channels int) []convRange {
	switch kind {
	case convLanewise: // the block of the panel itself: see convImage.source
		return []convRange{{0, 1, 1}}
	case convPlanar:
		return []convRange{{p.in0, p.in1, 1}}
	}
	whole := min(p.in1, channels/Block)
	ranges := []convRange{{p.in0, whole, Block}}
	if whole < p.in1 {
		ranges = append(ranges, convRange{whole, p.in1, (channels%Block + 3) &^ 3})
	}
	return ranges
}

// stepOffsets returns the offset of the run of a step in a plane block, and then that of its extra
// tap if there is one.
func (p *convPlanes) stepOffsets(in int, s convStep, taps []convTap) []int {
	offsets := []int{p.offset(in, taps[s.tap])}
	if s.split() {
		offsets = append(offsets, p.offset(in, taps[s.extra]))
	}
	return offsets
}

// add appends an entry.
func (chunk *convChunk) add(in int, s convStep, offsets []int) {
	chunk.entries = append(chunk.entries, convEntry{in, s})
	chunk.offsets = append(chunk.offsets, offsets...)
}

// cutChunk cuts a chunk into chunks of nearly equal size, at most convChunkBytes, and appends their
// weights to the packed weights.
func (c *convImage) cutChunk(all convChunk, blocks int) []convChunk {
	size := all.chans * all.run * blocks * Block // of the weights of an entry
	if all.kind == convPaired {
		size = all.chans * 3 * Block
	}
	n, each := len(all.entries), 1 // offsets of an entry
	if all.kind == convSplit {
		each = 2
	}
	most := max(1, convChunkBytes/(4*size))
	pieces := (n + most - 1) / most
	var chunks []convChunk
	for i := range pieces {
		e0, e1 := n*i/pieces, n*(i+1)/pieces
		chunk := all
		chunk.entries, chunk.offsets, chunk.packed = all.entries[e0:e1], all.offsets[e0*each:e1*each], c.packedLen
		c.packedLen += (e1 - e0) * size
		chunks = append(chunks, chunk)
	}
	return chunks
}

// convPacking is the layout of the weights w, [O, C/Groups, KH, KW], as seen by a pass. The weight
// of result channel o, plane channel c and tap (i, j), both channels in group g, is
//
//	w[o·outStride + c·inStride - g·groupStride + i·kw + j]
type convPacking struct {
	out, in             int // number of result and plane channels
	outStride, inStride int
	groups, groupStride int
	kw                  int
}

// pack writes the packed weights, in the order in which the kernels read them. The weights of a
// chunk are
//
//	[entry][channel c < chans][tap t < run][block of the panel][lane]     blocked, split, planar
//	[entry][channel c < chans][3][lane]                                   paired: see convBand
//	[entry][tap t < run][lane]                                            lanewise
//
// The extra tap of a split run is its last one. Weights of channels that do not exist, and of two
// channels of different groups, are zero.
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

// packChunk writes the weights of one chunk to dst.
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

// row writes the weights of the 16 result channels from out on, for one plane channel and one tap.
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

// lanewise writes the weights of the 16 channels from channel on, each of one channel with itself,
// for one tap.
func (from *convPacking) lanewise(row, w []float32, channel, tap int) {
	clear(row)
	for c := channel; c < min(channel+Block, from.out); c++ {
		row[c-channel] = w[c*(from.outStride+from.inStride-from.groupStride)+tap]
	}
}
