package kernels

// convGradTile is the work of the inner loops of the weight gradient. With pixels q of rows y, blocks b of a panel, dy at b·dyBlock + y·dyRow + q·16, x at
// y·xRow + q·unit, and a run of taps t < length:
//
//	acc[b·accBlock + (t·16 + c)·16 + lane] += Σ_y Σ_q dy[b][y][q][lane] · x[y][q + t][c]                      blocked, c < chans
//	acc[(r·length + t)·16 + lane]          += Σ_y Σ_q dy[y][q][lane] · x[y][q + t][offsets[r]]                planar
//	acc[(r·length + t)·16 + lane]          += Σ_y Σ_q dy[y][q][lane] · x[y][q + t][offsets[r] + lane]         lanewise
//
// A pair has one more tap, which adds to acc at extraAcc the products of dy with x at extraX: what a stride of 2 makes of a row of 3 taps, 2 of which are
// neighbours in one phase, the other one in another.
//
// Sums run in the order of y, then q. length is at most cols + 1. All distances are in elements.
type convGradTile struct {
	kind              convKind
	acc, x, dy        []float32
	rows, cols        int
	xRow, dyRow       int
	length            int       // of a run
	blocks, chans     int       // chans where blocked, a multiple of what convGradLimits says; blocks is 1 otherwise
	accBlock, dyBlock int       // where blocked
	pair              bool      // where blocked
	extraAcc, extraX  int       // of a pair
	offsets           []int     // of the runs, unless blocked
	ahead             []float32 // what comes next: to be fetched into the cache meanwhile
}

// convGradLimits is the kernels of a level.
type convGradLimits struct {
	blocks  int                     // blocked: the most blocks of a panel
	longest int                     // blocked: the longest run
	chans   [convMaxTaps + 1][3]int // blocked: divides the number of channels, by run and blocks
	pairs   bool                    // blocked: there are kernels for pairs, of runs of 2
	window  int                     // otherwise: length·runs + length is at most that
}

var convGradLimitsPortable = convGradLimits{
	blocks: 2, longest: 3, pairs: true, window: 31,
	chans: [convMaxTaps + 1][3]int{1: {1: 16, 2: 8}, 2: {1: 8, 2: 4}, 3: {1: 8, 2: 4}},
}

const (
	convMaxRun  = 7 // the longest run unless blocked
	convMaxRuns = 9 // the most runs
)

// convGradPortable is the kernel in plain Go.
func convGradPortable(tile *convGradTile) {
	for y := range tile.rows {
		for q := range tile.cols {
			at := y*tile.dyRow + q*Block
			for t := range tile.length {
				x := tile.x[y*tile.xRow+(q+t)*tile.kind.unit():]
				switch tile.kind {
				case convBlocked:
					for b := range tile.blocks {
						dy := (*[Block]float32)(tile.dy[b*tile.dyBlock+at:])
						for c, v := range x[:tile.chans] {
							addScaled((*[Block]float32)(tile.acc[b*tile.accBlock+(t*Block+c)*Block:]), dy, v)
						}
						if tile.pair && t == 0 {
							for c, v := range x[tile.extraX:][:tile.chans] {
								addScaled((*[Block]float32)(tile.acc[tile.extraAcc+b*tile.accBlock+c*Block:]), dy, v)
							}
						}
					}
				case convPlanar:
					dy := (*[Block]float32)(tile.dy[at:])
					for r, offset := range tile.offsets {
						addScaled((*[Block]float32)(tile.acc[(r*tile.length+t)*Block:]), dy, x[offset])
					}
				case convLanewise:
					dy := (*[Block]float32)(tile.dy[at:])
					for r, offset := range tile.offsets {
						acc := (*[Block]float32)(tile.acc[(r*tile.length+t)*Block:])
						for lane, v := range (*[Block]float32)(x[offset:]) {
							acc[lane] += v * dy[lane]
						}
					}
				}
			}
		}
	}
}

// addScaled adds factor times 16 lanes.
func addScaled(acc, lanes *[Block]float32, factor float32) {
	for i, v := range lanes {
		acc[i] += v * factor
	}
}
