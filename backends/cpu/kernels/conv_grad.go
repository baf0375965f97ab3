package kernels

// convGradTile is the work of the innermost loop of the weight gradient. With pixels q of rows y, blocks b of a panel, dy at
// b·dyBlock + y·dyRow + q·16 and x at y·xRow + q·unit:
//
//	acc[b·accBlock + c·16 + lane] += Σ_y Σ_q dy[b][y][q][lane] · x[y][q][c]                       blocked, c < chans
//	acc[(r·length + i)·16 + lane] += Σ_y Σ_q dy[y][q][lane] · x[y][q + i][offsets[r]]             planar, i < length
//	acc[(r·length + i)·16 + lane] += Σ_y Σ_q dy[y][q][lane] · x[y][q + i][offsets[r] + lane]      lanewise, i < length
//
// summed in the order of y, then q. All distances are in elements.
type convGradTile struct {
	kind              convKind
	acc, x, dy        []float32
	rows, cols        int
	xRow, dyRow       int
	blocks, chans     int // blocked; otherwise blocks is 1
	accBlock, dyBlock int
	offsets           []int // one for each run
	length            int   // of every run
}

// convGradLimits is what the kernels of a level take: blocks of a panel and blocks · channels where blocked, runs · length otherwise.
type convGradLimits struct{ blocks, sums, runSums int }

var convGradLimitsPortable = convGradLimits{blocks: 1, sums: convLanes, runSums: 28}

const (
	convMaxRun  = 7 // the longest run
	convMaxRuns = 9 // the most runs
)

// convGradPortable is the kernel in plain Go.
func convGradPortable(t *convGradTile) {
	for y := range t.rows {
		for q := range t.cols {
			at := y*t.dyRow + q*convLanes
			switch t.kind {
			case convBlocked:
				x := t.x[y*t.xRow+q*convLanes:][:t.chans]
				for b := range t.blocks {
					convGradPixel(t.acc[b*t.accBlock:], x, t.dy[b*t.dyBlock+at:])
				}
			case convPlanar:
				for r, offset := range t.offsets {
					convGradPixel(t.acc[r*t.length*convLanes:], t.x[y*t.xRow+q+offset:][:t.length], t.dy[at:])
				}
			case convLanewise:
				dy := (*[convLanes]float32)(t.dy[at:])
				for r, offset := range t.offsets {
					for i := range t.length {
						acc := (*[convLanes]float32)(t.acc[(r*t.length+i)*convLanes:])
						x := (*[convLanes]float32)(t.x[y*t.xRow+(q+i)*convLanes+offset:])
						for lane, v := range dy {
							acc[lane] += v * x[lane]
						}
					}
				}
			}
		}
	}
}

// convGradPixel adds the outer product of channels of x and 16 lanes of dy.
func convGradPixel(acc, x, dy []float32) {
	row := (*[convLanes]float32)(dy)
	for c, v := range x {
		sum := (*[convLanes]float32)(acc[c*convLanes:])
		for lane := range sum {
			sum[lane] += v * row[lane]
		}
	}
}
