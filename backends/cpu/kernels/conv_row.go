package kernels

import "math"

// convKind is how the inner loops multiply.
type convKind uint8

const (
	convBlocked  convKind = iota // one input channel times 16 output channels; plane pixels of 16 channels
	convPlanar                   // the same; plane pixels of one channel
	convLanewise                 // 16 channels times their own 16 weights: depthwise
	convKinds    = iota
)

// convRow is the work of the innermost loop of the forward pass and of the input gradient: a row of output pixels q for the blocks b of a panel,
//
//	dst[b·dstBlock + q·dstPixel + lane] = max(floor, init[b·initBlock + q·initPixel + lane]
//	       + Σ_e Σ_c src[q·unit + offsets[e] + c] · w[e][c][b][lane])        blocked and planar, c < chans
//	       + Σ_e src[q·unit + offsets[e] + lane] · w[e][lane])               lanewise
//
// summed in the order of e, then c, starting from init. All distances are in elements. A NaN stays NaN under the maximum.
type convRow struct {
	dst                  []float32
	dstPixel, dstBlock   int
	init                 []float32
	initPixel, initBlock int
	src, w               []float32
	offsets              []int
	chans                int // input channels of every entry: a multiple of 4, or 1 where planar or lanewise
	floor                float32
}

// convRowKernel is the row kernel of a level and a kind. A panel of b blocks is computed in tiles of at most maxPixels[b] pixels, whose sums all
// stay in registers; 0 says that there is no kernel for that many blocks.
type convRowKernel struct {
	level     Level
	kind      convKind
	maxPixels convTile
}

type convTile [convMaxBlocks + 1]int

// convMaxBlocks is the largest number of blocks in a panel.
const convMaxBlocks = 4

// convNoFloor leaves every value as it is.
var convNoFloor = float32(math.Inf(-1))

// convTilesPortable is the tile of the row kernels in plain Go: a whole row.
var convTilesPortable = [convKinds]convTile{convBlocked: {1: 1 << 30, 2: 1 << 30, 4: 1 << 30}, convPlanar: {1: 1 << 30}, convLanewise: {1: 1 << 30}}

// convRowPortable computes tiles·pixels consecutive pixels for a panel of that many blocks.
func convRowPortable(r *convRow, kind convKind, blocks, pixels, tiles int) {
	switch kind {
	case convBlocked:
		convRowBroadcast(r, convLanes, blocks, pixels*tiles)
	case convPlanar:
		convRowBroadcast(r, 1, blocks, pixels*tiles)
	case convLanewise:
		convRowLanewise(r, pixels*tiles)
	}
}

func convRowBroadcast(r *convRow, unit, blocks, pixels int) {
	for q := range pixels {
		for b := range blocks {
			acc := *(*[convLanes]float32)(r.init[b*r.initBlock+q*r.initPixel:])
			w := convFrom(r.w, b*convLanes)
			for _, offset := range r.offsets {
				for _, x := range r.src[q*unit+offset:][:r.chans] {
					row := (*[convLanes]float32)(w)
					for lane := range acc {
						acc[lane] += x * row[lane]
					}
					w = convFrom(w, blocks*convLanes)
				}
			}
			r.store(b*r.dstBlock+q*r.dstPixel, &acc)
		}
	}
}

func convRowLanewise(r *convRow, pixels int) {
	for q := range pixels {
		acc := *(*[convLanes]float32)(r.init[q*r.initPixel:])
		for e, offset := range r.offsets {
			x := (*[convLanes]float32)(r.src[q*convLanes+offset:])
			w := (*[convLanes]float32)(r.w[e*convLanes:])
			for lane := range acc {
				acc[lane] += x[lane] * w[lane]
			}
		}
		r.store(q*r.dstPixel, &acc)
	}
}

func (r *convRow) store(at int, acc *[convLanes]float32) {
	dst := (*[convLanes]float32)(r.dst[at:])
	for lane, v := range acc {
		if v < r.floor {
			v = r.floor
		}
		dst[lane] = v
	}
}

// convCost estimates the cycles that one step of the reduction takes for a row of that many pixels, for one block of a panel: the maximum of the
// multiply-adds, the loads, both two a cycle, and the latency of one multiply-add.
func convCost(cols, blocks, maxPixels int) float64 {
	cycles := 0.0
	for rest := cols; rest > 0; {
		tiles := (rest + maxPixels - 1) / maxPixels
		pixels := (rest + tiles - 1) / tiles
		loads := pixels + blocks
		cycles += max(float64(blocks*pixels)/2, float64(loads)/2, 4)
		rest -= pixels
	}
	return cycles / float64(blocks)
}

// panelBlocks returns the number of blocks a panel should have for rows of that many pixels: the cheapest by convCost, the smaller one of equals.
func (k *convRowKernel) panelBlocks(cols, blocks int) int {
	best, cost := 1, math.Inf(1)
	for b, most := range k.maxPixels {
		if most == 0 || b > blocks {
			continue
		}
		if c := convCost(cols, b, most); c < cost {
			best, cost = b, c
		}
	}
	return best
}

// do computes a row of cols pixels, in tiles of nearly equal size. It advances r.
func (k *convRowKernel) do(r *convRow, unit, blocks, cols int) {
	tiles := (cols + k.maxPixels[blocks] - 1) / k.maxPixels[blocks]
	pixels := (cols + tiles - 1) / tiles
	small := tiles*pixels - cols // tiles of one pixel less
	k.level.convRow(r, k.kind, blocks, pixels, tiles-small)
	if small == 0 {
		return
	}
	done := pixels * (tiles - small)
	r.dst, r.init, r.src = r.dst[done*r.dstPixel:], r.init[done*r.initPixel:], convFrom(r.src, done*unit)
	k.level.convRow(r, k.kind, blocks, pixels-1, small)
}
