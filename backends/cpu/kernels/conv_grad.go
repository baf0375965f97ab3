package kernels

// convGradTile is the work of the innermost loop of the weight gradient. With pixels q of rows y, blocks b of a panel, dy at
// b·dyBlock + y·dyRow + q·16 and x at y·xRow + q·unit:
//
//	acc[b·accBlock + c·16 + lane] += Σ_y Σ_q dy[b][y][q][lane] · x[y][q][c]                    blocked, c < chans
//	acc[(r·chans + c)·16 + lane]  += Σ_y Σ_q dy[y][q][lane] · x[y][q + offsets[r] + c]         planar, r < runs, c < chans
//	acc[lane]                     += Σ_y Σ_q dy[y][q][lane] · x[y][q][lane]                    lanewise
//
// summed in the order of y, then q. All distances are in elements.
type convGradTile struct {
	kind                           convKind
	acc, x, dy                     []float32
	blocks, chans, runs            int
	offsets                        [convMostRuns]int
	rows, cols                     int
	accBlock, dyBlock, xRow, dyRow int
}

const (
	convGradChans = 16 // blocked: blocks · chans
	convMaxRun    = 7  // planar: the longest run
	convMostRuns  = 9  // planar: the most runs
	convGradSums  = 28 // planar: the most runs · chans
)

// convMaxRuns returns how many runs of that length a planar kernel takes.
func convMaxRuns(length int) int { return min(convMostRuns, convGradSums/length) }

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
				for r, offset := range t.offsets[:t.runs] {
					convGradPixel(t.acc[r*t.chans*convLanes:], t.x[y*t.xRow+q+offset:][:t.chans], t.dy[at:])
				}
			case convLanewise:
				x := (*[convLanes]float32)(t.x[y*t.xRow+q*convLanes:])
				dy := (*[convLanes]float32)(t.dy[at:])
				for lane, v := range dy {
					t.acc[lane] += v * x[lane]
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
