package kernels

import "math"

// convKind is the arrangement of the multiplications in the inner loops.
type convKind uint8

const (
	// convBlocked multiplies one plane channel with the weights of 16 result channels. A plane
	// pixel has 16 channels.
	convBlocked convKind = iota
	// convPaired is convBlocked for two neighbouring columns of one result block, in place of two
	// blocks: the first column has one tap, the second two.
	convPaired
	// convSplit is convBlocked for runs of 3 whose last tap is at another offset. With a stride of
	// 2 a kernel row of 3 taps is such a run: its taps 0 and 2 are neighbours in one phase.
	convSplit
	// convPlanar is convBlocked for planes of one channel.
	convPlanar
	// convLanewise multiplies 16 plane channels with one weight each: depthwise.
	convLanewise
	convKinds = iota
)

// unit returns the number of values of a plane pixel.
func (k convKind) unit() int {
	if k == convPlanar {
		return 1
	}
	return Block
}

// convBand is one call of the inner loops of the forward pass and of the input gradient. With
//
//	y     row of the band                  0 ≤ y < rows
//	q     result pixel of a row            0 ≤ q < cols
//	b     result block of the panel        0 ≤ b < blocks
//	e     entry: a run of taps, for one plane block
//	c     channel of the plane block       0 ≤ c < chans
//	t     tap of the run                   0 ≤ t < run
//	lane  channel of the result block      0 ≤ lane < 16
//
// it computes
//
//	d = b·dstBlock + y·dstRow + q·dstPixel + lane
//	i = b·initBlock + y·initRow + q·initPixel + lane
//	s = y·srcRow + (q+t)·unit + offsets[e]
//
//	dst[d] = max(floor, init[i] + Σ_e Σ_c Σ_t src[s+c] · w[e][c][t][b][lane])     blocked, planar
//	dst[d] = max(floor, init[i] + Σ_e Σ_t src[s+lane] · w[e][t][lane])            lanewise
//
// in this order of summation, beginning with init. The maximum of floor and NaN is NaN. Two kinds
// differ from blocked:
//
//	paired  run and blocks are 2, block 0 has no tap 1: w is [e][c][3][lane],
//	        for (t, b) = (0, 0), (0, 1), (1, 1)
//	split   run is 3, entry e has two offsets: offsets[2e] for t < 2, and
//	        s = y·srcRow + q·unit + offsets[2e+1] for t = 2
//
// All distances and offsets are in elements.
type convBand struct {
	kind                          convKind
	run, blocks, rows             int
	dst                           []float32
	dstPixel, dstBlock, dstRow    int
	init                          []float32
	initPixel, initBlock, initRow int
	src                           []float32
	srcRow                        int
	w                             []float32
	offsets                       []int
	chans                         int // of every entry: a multiple of 4; 1 if planar or lanewise
	floor                         float32
	// what the kernel prefetches: data that a later call reads
	ahead []float32
}

const (
	convMaxBlocks = 4 // of a panel
	convMaxTaps   = 3 // of a run of a band
)

// convTiles lists the band kernels of an instruction set and a kind: [run][blocks] is the largest
// number of pixels of a tile, whose sums are all in registers, or 0 if there is no such kernel.
type convTiles [convMaxTaps + 1][convMaxBlocks + 1]int

// convNoFloor is a floor that changes no value.
var convNoFloor = float32(math.Inf(-1))

// entries returns the number of entries.
func (band *convBand) entries() int {
	if band.kind == convSplit {
		return len(band.offsets) / 2
	}
	return len(band.offsets)
}

// work returns the number of multiply-adds of cols columns, in blocks of 16.
func (band *convBand) work(cols int) int {
	return band.rows * cols * band.blocks * band.entries() * band.chans * band.run
}

// longest returns the length of the longest run for panels of that many blocks.
func (t *convTiles) longest(blocks int) int {
	run := convMaxTaps
	for t[run][blocks] == 0 {
		run--
	}
	return run
}

// blocks returns the number of blocks, at most most, that a panel should have for rows of cols
// pixels and runs of taps taps: the number with the fewest estimated cycles per block and tap. The
// estimate is for a processor that executes two multiply-adds and 1.1 loads per cycle, with a
// latency of four cycles from one term of a sum to the next.
func (t *convTiles) blocks(cols, taps, most int) int {
	const loadsPerCycle, latency, perLoad = 1.1, 4, 0.02
	best, least := 1, math.Inf(1)
	for b := 1; b <= min(most, convMaxBlocks); b++ {
		if t[1][b] == 0 {
			continue
		}
		run := min(taps, t.longest(b))
		cost := 0.0
		for rest := cols; rest > 0; {
			tiles := (rest + t[run][b] - 1) / t[run][b]
			pixels := (rest + tiles - 1) / tiles
			loads, sums := float64(pixels+run-1+run*b), float64(b*pixels)
			cost += max(sums*float64(run)/2, loads/loadsPerCycle, latency*float64(run)) + perLoad*loads
			rest -= pixels
		}
		if cost /= float64(b * run); cost < least {
			best, least = b, cost
		}
	}
	return best
}

// pairColumns makes the two columns of a paired band its blocks.
func (band *convBand) pairColumns() {
	band.blocks, band.dstBlock = 2, Block
	if band.initPixel > 0 {
		band.initBlock = Block
	}
}

// compute computes a band of cols columns in tiles of nearly equal size: first the tiles of pixels
// pixels, then the small ones, which have one pixel less.
func (band *convBand) compute(isa InstructionSet, cols int) {
	most := isa.convTiles(band.kind)[band.run][band.blocks]
	tiles := (cols + most - 1) / most
	pixels := (cols + tiles - 1) / tiles
	small := tiles*pixels - cols
	isa.convBand(band, pixels, tiles-small)
	if small == 0 {
		return
	}
	done := pixels * (tiles - small)
	right := *band
	right.ahead = nil
	right.dst, right.init = band.dst[done*band.dstPixel:], band.init[done*band.initPixel:]
	right.src = convFrom(band.src, done*band.kind.unit())
	isa.convBand(&right, pixels-1, small)
}

// convTilesPortable lists the band kernels in plain Go, which compute any number of pixels.
var convTilesPortable = [convKinds]convTiles{
	convBlocked:  {1: {1: 1 << 30, 2: 1 << 30, 4: 1 << 30}, 2: {1: 1 << 30, 2: 1 << 30}, 3: {1: 1 << 30, 2: 1 << 30}},
	convPaired:   {2: {2: 1 << 30}},
	convSplit:    {3: {1: 1 << 30, 2: 1 << 30}},
	convPlanar:   {1: {1: 1 << 30, 2: 1 << 30}, 2: {1: 1 << 30, 2: 1 << 30}, 3: {1: 1 << 30, 2: 1 << 30}},
	convLanewise: {1: {1: 1 << 30}, 2: {1: 1 << 30}, 3: {1: 1 << 30}},
}

// convBandPortable computes tiles·pixels columns of a band.
func convBandPortable(band *convBand, pixels, tiles int) {
	for y := range band.rows {
		for q := range pixels * tiles {
			src := convFrom(band.src, y*band.srcRow+q*band.kind.unit())
			for b := range band.blocks {
				acc := *(*[Block]float32)(band.init[b*band.initBlock+y*band.initRow+q*band.initPixel:])
				switch band.kind {
				case convLanewise:
					band.addLanes(&acc, src)
				case convPaired:
					band.addPaired(&acc, src, b)
				default:
					band.addChannels(&acc, src, b)
				}
				dst := (*[Block]float32)(band.dst[b*band.dstBlock+y*band.dstRow+q*band.dstPixel:])
				for lane, v := range acc {
					if v < band.floor {
						v = band.floor
					}
					dst[lane] = v
				}
			}
		}
	}
}

// addChannels adds all terms of kind blocked, split or planar to the sums of one pixel and block.
// src begins at the pixel.
func (band *convBand) addChannels(acc *[Block]float32, src []float32, block int) {
	unit := band.kind.unit()
	w := convFrom(band.w, block*Block)
	for e := range band.entries() {
		for c := range band.chans {
			for t := range band.run {
				var at int
				switch {
				case band.kind != convSplit:
					at = band.offsets[e] + t*unit
				case t < 2:
					at = band.offsets[2*e] + t*unit
				default:
					at = band.offsets[2*e+1]
				}
				addScaled(acc, (*[Block]float32)(w), src[at+c])
				w = convFrom(w, band.blocks*Block)
			}
		}
	}
}

// addPaired does the same for kind paired. block is the column, 0 or 1.
func (band *convBand) addPaired(acc *[Block]float32, src []float32, block int) {
	for e, offset := range band.offsets {
		for c := range band.chans {
			w := band.w[(e*band.chans+c)*3*Block:]
			addScaled(acc, (*[Block]float32)(w[block*Block:]), src[offset+c])
			if block == 1 {
				addScaled(acc, (*[Block]float32)(w[2*Block:]), src[offset+Block+c])
			}
		}
	}
}

// addLanes does the same for kind lanewise.
func (band *convBand) addLanes(acc *[Block]float32, src []float32) {
	w := band.w
	for _, offset := range band.offsets {
		for t := range band.run {
			x, row := (*[Block]float32)(src[offset+t*Block:]), (*[Block]float32)(w)
			for lane := range acc {
				acc[lane] += x[lane] * row[lane]
			}
			w = w[Block:]
		}
	}
}
