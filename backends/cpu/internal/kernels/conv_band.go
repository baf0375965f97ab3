package kernels

import "math"

// convKind is how the inner loops multiply.
type convKind uint8

const (
	convBlocked  convKind = iota // one input channel times 16 output channels; plane pixels of 16 channels
	convPaired                   // the same, but the blocks are two neighbouring columns of one block: the first has one tap, the second two
	convSplit                    // the same, but the last tap of a run of 3 lies elsewhere: what a stride of 2 makes of a row of 3
	convPlanar                   // the same; plane pixels of one channel
	convLanewise                 // 16 channels times their own 16 weights: depthwise
	convKinds    = iota
)

// unit returns the values of a plane pixel.
func (k convKind) unit() int {
	if k == convPlanar {
		return 1
	}
	return Block
}

// convBand is the work of the inner loops of the forward pass and of the input gradient: rows y of result pixels q for the blocks b of a panel,
//
//	dst[b·dstBlock + y·dstRow + q·dstPixel + lane] = max(floor, init[b·initBlock + y·initRow + q·initPixel + lane]
//	       + Σ_e Σ_c Σ_t src[y·srcRow + (q+t)·unit + offsets[e] + c] · w[e][c][t][b][lane])        blocked and planar, c < chans
//	       + Σ_e     Σ_t src[y·srcRow + (q+t)·unit + offsets[e] + lane] · w[e][t][lane])           lanewise
//
// summed in that order, starting from init. An entry e is a run of t < run taps that are neighbours in a plane, of one block of input
// channels. Paired is blocked with run 2 and blocks 2, where the second tap of the first block is left out: w is [e][c][3][lane], for
// (t, b) = (0, 0), (0, 1), (1, 1). Split is blocked with run 3 and two offsets for each entry, the second of which is that of t = 2. All distances are in elements. A NaN stays NaN under the maximum.
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
	chans                         int // of every entry: a multiple of 4, or 1 where planar or lanewise
	floor                         float32
	ahead                         []float32 // what the next call reads: to be fetched into the cache meanwhile
}

const (
	convMaxBlocks = 4 // in a panel
	convMaxTaps   = 3 // in a run of a band
)

// convTiles is the band kernels of a level and a kind: by run and by blocks, the most pixels whose sums stay in registers together; 0 where there is no
// such kernel.
type convTiles [convMaxTaps + 1][convMaxBlocks + 1]int

// convNoFloor leaves every value as it is.
var convNoFloor = float32(math.Inf(-1))

// entries returns the number of entries.
func (band *convBand) entries() int {
	if band.kind == convSplit {
		return len(band.offsets) / 2
	}
	return len(band.offsets)
}

// weights returns the length of w.
func (band *convBand) weights() int {
	each := band.run * band.blocks
	if band.kind == convPaired {
		each = 3
	}
	return band.entries() * band.chans * each * Block
}

// longest returns the longest run of taps for panels of that many blocks.
func (t *convTiles) longest(blocks int) int {
	run := convMaxTaps
	for t[run][blocks] == 0 {
		run--
	}
	return run
}

// blocks returns how many blocks, at most most, a panel should have for rows of cols pixels and runs of taps taps: what costs the fewest cycles,
// where a processor does two multiply-adds and a little more than one load a cycle, and a sum waits four cycles for its next term.
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

// pair makes the two columns of a paired band its blocks.
func (band *convBand) pair() {
	band.blocks, band.dstBlock = 2, Block
	if band.initPixel > 0 {
		band.initBlock = Block
	}
}

// compute computes a band of cols columns, in tiles of nearly equal size.
func (band *convBand) compute(isa InstructionSet, cols int) {
	most := isa.convTiles(band.kind)[band.run][band.blocks]
	tiles := (cols + most - 1) / most
	pixels := (cols + tiles - 1) / tiles
	small := tiles*pixels - cols // tiles of one pixel less
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

// convTilesPortable is the tiles of the band kernels in plain Go: any number of pixels.
var convTilesPortable = [convKinds]convTiles{
	convBlocked:  {1: {1: 1 << 30, 2: 1 << 30, 4: 1 << 30}, 2: {1: 1 << 30, 2: 1 << 30}, 3: {1: 1 << 30, 2: 1 << 30}},
	convPaired:   {2: {2: 1 << 30}},
	convSplit:    {3: {1: 1 << 30, 2: 1 << 30}},
	convPlanar:   {1: {1: 1 << 30, 2: 1 << 30}, 2: {1: 1 << 30, 2: 1 << 30}, 3: {1: 1 << 30, 2: 1 << 30}},
	convLanewise: {1: {1: 1 << 30}, 2: {1: 1 << 30}, 3: {1: 1 << 30}},
}

// convBandPortable computes tiles·pixels columns.
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
