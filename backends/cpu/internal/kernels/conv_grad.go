package kernels

// convGradTile is one call of the inner loops of the weight gradient. With
//
//	y     row                              0 ≤ y < rows
//	q     pixel of dy of a row             0 ≤ q < cols
//	b     block of the panel               0 ≤ b < blocks
//	r     run                              0 ≤ r < len(offsets)
//	t     tap of a run                     0 ≤ t < length
//	c     channel of x                     0 ≤ c < chans
//	lane  channel of a block of dy         0 ≤ lane < 16
//
// and the elements
//
//	dy(b,y,q,lane) = dy[b·dyBlock + y·dyRow + q·16 + lane]
//	x(y,q,k)       = x[y·xRow + q·unit + k]
//
// it adds
//
//	acc[b·accBlock + (t·16 + c)·16 + lane] += Σ_y Σ_q dy(b,y,q,lane) · x(y,q+t,c)                blocked
//	acc[(r·length + t)·16 + lane]          += Σ_y Σ_q dy(0,y,q,lane) · x(y,q+t,offsets[r])       planar
//	acc[(r·length + t)·16 + lane]          += Σ_y Σ_q dy(0,y,q,lane) · x(y,q+t,offsets[r]+lane)  lanewise
//
// in the order of y, then q. Blocked has one run. If it is split, it has one more tap at another
// offset, as with convSplit:
//
//	acc[extraAcc + b·accBlock + c·16 + lane] += Σ_y Σ_q dy(b,y,q,lane) · x(y,q,extraX+c)
//
// length is at most cols + 1. All distances and offsets are in elements.
type convGradTile struct {
	kind              convKind
	acc, x, dy        []float32
	rows, cols        int
	xRow, dyRow       int
	length            int       // of a run
	blocks            int       // 1 unless blocked
	chans             int       // blocked: a multiple of convGradLimits.chans
	accBlock, dyBlock int       // blocked
	split             bool      // blocked
	extraAcc, extraX  int       // split
	offsets           []int     // planar, lanewise: of the runs
	ahead             []float32 // what the kernel prefetches: data that a later call reads
}

// work returns the number of multiply-adds of a tile, in blocks of 16.
func (t *convGradTile) work() int {
	taps := t.length
	if t.split {
		taps++
	}
	return t.rows * t.cols * taps * max(t.blocks*t.chans, len(t.offsets))
}

// convGradLimits lists the weight gradient kernels of an instruction set.
type convGradLimits struct {
	blocks  int // blocked: the largest number of blocks of a panel
	longest int // blocked: the largest length of a run
	// blocked: a divisor of the number of channels, by length and blocks
	chans  [convMaxTaps + 1][3]int
	split  bool // blocked: there are kernels for split runs of length 2
	window int  // planar, lanewise: the upper bound of length·runs + length
}

var convGradLimitsPortable = convGradLimits{
	blocks: 2, longest: 3, split: true, window: 31,
	chans: [convMaxTaps + 1][3]int{1: {1: 16, 2: 8}, 2: {1: 8, 2: 4}, 3: {1: 8, 2: 4}},
}

const (
	convMaxRun  = 7 // planar, lanewise: the largest length of a run
	convMaxRuns = 9 // planar, lanewise: the largest number of runs
)

// convGradPortable is the weight gradient kernel in plain Go.
func convGradPortable(tile *convGradTile) {
	for y := range tile.rows {
		for q := range tile.cols {
			dy := tile.dy[y*tile.dyRow+q*Block:]
			for t := range tile.length {
				x := tile.x[y*tile.xRow+(q+t)*tile.kind.unit():]
				switch tile.kind {
				case convBlocked:
					tile.addChannels(t*Block*Block, dy, x)
					if tile.split && t == 0 {
						tile.addChannels(tile.extraAcc, dy, x[tile.extraX:])
					}
				case convPlanar:
					tile.addPlanar(t, dy, x)
				case convLanewise:
					tile.addLanes(t, dy, x)
				}
			}
		}
	}
}

// addChannels adds the products of one pixel of dy and the channels of one pixel of x, for all
// blocks. The sums of block 0 begin at index at of acc.
func (tile *convGradTile) addChannels(at int, dy, x []float32) {
	for b := range tile.blocks {
		lanes := (*[Block]float32)(dy[b*tile.dyBlock:])
		for c, v := range x[:tile.chans] {
			addScaled((*[Block]float32)(tile.acc[at+b*tile.accBlock+c*Block:]), lanes, v)
		}
	}
}

// addPlanar adds the products of one pixel of dy and one pixel of x, under tap t of each run.
func (tile *convGradTile) addPlanar(t int, dy, x []float32) {
	for r, offset := range tile.offsets {
		addScaled((*[Block]float32)(tile.acc[(r*tile.length+t)*Block:]), (*[Block]float32)(dy), x[offset])
	}
}

// addLanes does the same lane by lane.
func (tile *convGradTile) addLanes(t int, dy, x []float32) {
	lanes := (*[Block]float32)(dy)
	for r, offset := range tile.offsets {
		acc := (*[Block]float32)(tile.acc[(r*tile.length+t)*Block:])
		for lane, v := range (*[Block]float32)(x[offset:]) {
			acc[lane] += v * lanes[lane]
		}
	}
}

// addScaled adds factor · lanes to acc.
func addScaled(acc, lanes *[Block]float32, factor float32) {
	for i, v := range lanes {
		acc[i] += v * factor
	}
}
