//go:build amd64 && !noasm

package kernels

// convRowFunc is a row kernel of one number of blocks and of pixels. Distances and offsets are in elements; quads is a fourth of chans.
type convRowFunc = func(dst, init, src, w *float32, offsets *int, entries, quads, tiles, dstPixel, dstBlock, initPixel, initBlock int, floor float32)

// convGradBlockedFunc is a weight gradient kernel of one number of blocks and of channels.
type convGradBlockedFunc = func(acc, x, dy *float32, accBlock, dyBlock, rows, cols, xRow, dyRow int)

// convGradRunsFunc is a weight gradient kernel of one number of runs and one length.
type convGradRunsFunc = func(acc, x, dy *float32, offsets *int, rows, cols, xRow, dyRow int)

// convAssembly is the kernels of one level, and within which limits they exist.
type convAssembly struct {
	tiles       [convKinds]convTile
	rows        [convKinds][convMaxBlocks + 1][]convRowFunc // by kind, blocks, pixels
	gradLimits  convGradLimits
	gradBlocked convGradBlockedFunc                           // for one block
	gradPair    convGradBlockedFunc                           // for two blocks
	gradRuns    [convKinds][convMaxRun + 1][]convGradRunsFunc // by kind, length, runs
}

// convLevel returns the kernels of an assembly level, nil for Portable.
func convLevel(l Level) *convAssembly {
	switch l {
	case AVX512:
		return &convAVX512
	case AVX2:
		return &convAVX2
	}
	return nil
}

func (l Level) convTile(kind convKind) convTile {
	if a := convLevel(l); a != nil {
		return a.tiles[kind]
	}
	return convTilesPortable[kind]
}

func (l Level) convGradLimits() convGradLimits {
	if a := convLevel(l); a != nil {
		return a.gradLimits
	}
	return convGradLimitsPortable
}

func (l Level) convRow(r *convRow, kind convKind, blocks, pixels, tiles int) {
	a := convLevel(l)
	if a == nil {
		convRowPortable(r, kind, blocks, pixels, tiles)
		return
	}
	entries, last := len(r.offsets), pixels*tiles-1
	_ = r.dst[(blocks-1)*r.dstBlock+last*r.dstPixel+convLanes-1]
	_ = r.init[(blocks-1)*r.initBlock+last*r.initPixel+convLanes-1]
	_ = r.w[:entries*r.chans*blocks*convLanes]
	a.rows[kind][blocks][pixels](&r.dst[0], &r.init[0], convFirst(r.src), convFirst(r.w), convFirst(r.offsets),
		entries, r.chans/4, tiles, r.dstPixel, r.dstBlock, r.initPixel, r.initBlock, r.floor)
}

func (l Level) convGrad(t *convGradTile) {
	a := convLevel(l)
	if a == nil {
		convGradPortable(t)
		return
	}
	_ = t.dy[(t.blocks-1)*t.dyBlock+(t.rows-1)*t.dyRow+t.cols*convLanes-1]
	if t.kind != convBlocked {
		runs := len(t.offsets)
		_ = t.acc[runs*t.length*convLanes-1]
		a.gradRuns[t.kind][t.length][runs](&t.acc[0], &t.x[0], &t.dy[0], &t.offsets[0], t.rows, t.cols, t.xRow, t.dyRow)
		return
	}
	_ = t.acc[(t.blocks-1)*t.accBlock+t.chans*convLanes-1]
	_ = t.x[(t.rows-1)*t.xRow+(t.cols-1)*convLanes+t.chans-1]
	kernel := a.gradBlocked
	if t.blocks == 2 {
		kernel = a.gradPair
	}
	kernel(&t.acc[0], &t.x[0], &t.dy[0], t.accBlock, t.dyBlock, t.rows, t.cols, t.xRow, t.dyRow)
}

// convFirst returns the address of the first element, nil where there is none.
func convFirst[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

var convAVX512 = convAssembly{
	tiles: [convKinds]convTile{
		convBlocked:  {1: 28, 2: 14, 4: 6},
		convPlanar:   {1: 28, 2: 14},
		convLanewise: {1: 14},
	},
	rows: [convKinds][convMaxBlocks + 1][]convRowFunc{
		convBlocked: {
			1: {
				1: convRowBlockedAVX5121x1, 2: convRowBlockedAVX5121x2, 3: convRowBlockedAVX5121x3, 4: convRowBlockedAVX5121x4,
				5: convRowBlockedAVX5121x5, 6: convRowBlockedAVX5121x6, 7: convRowBlockedAVX5121x7, 8: convRowBlockedAVX5121x8,
				9: convRowBlockedAVX5121x9, 10: convRowBlockedAVX5121x10, 11: convRowBlockedAVX5121x11, 12: convRowBlockedAVX5121x12,
				13: convRowBlockedAVX5121x13, 14: convRowBlockedAVX5121x14, 15: convRowBlockedAVX5121x15, 16: convRowBlockedAVX5121x16,
				17: convRowBlockedAVX5121x17, 18: convRowBlockedAVX5121x18, 19: convRowBlockedAVX5121x19, 20: convRowBlockedAVX5121x20,
				21: convRowBlockedAVX5121x21, 22: convRowBlockedAVX5121x22, 23: convRowBlockedAVX5121x23, 24: convRowBlockedAVX5121x24,
				25: convRowBlockedAVX5121x25, 26: convRowBlockedAVX5121x26, 27: convRowBlockedAVX5121x27, 28: convRowBlockedAVX5121x28,
			},
			2: {
				1: convRowBlockedAVX5122x1, 2: convRowBlockedAVX5122x2, 3: convRowBlockedAVX5122x3, 4: convRowBlockedAVX5122x4,
				5: convRowBlockedAVX5122x5, 6: convRowBlockedAVX5122x6, 7: convRowBlockedAVX5122x7, 8: convRowBlockedAVX5122x8,
				9: convRowBlockedAVX5122x9, 10: convRowBlockedAVX5122x10, 11: convRowBlockedAVX5122x11, 12: convRowBlockedAVX5122x12,
				13: convRowBlockedAVX5122x13, 14: convRowBlockedAVX5122x14,
			},
			4: {
				1: convRowBlockedAVX5124x1, 2: convRowBlockedAVX5124x2, 3: convRowBlockedAVX5124x3, 4: convRowBlockedAVX5124x4,
				5: convRowBlockedAVX5124x5, 6: convRowBlockedAVX5124x6,
			},
		},
		convPlanar: {
			1: {
				1: convRowPlanarAVX5121x1, 2: convRowPlanarAVX5121x2, 3: convRowPlanarAVX5121x3, 4: convRowPlanarAVX5121x4, 5: convRowPlanarAVX5121x5,
				6: convRowPlanarAVX5121x6, 7: convRowPlanarAVX5121x7, 8: convRowPlanarAVX5121x8, 9: convRowPlanarAVX5121x9,
				10: convRowPlanarAVX5121x10, 11: convRowPlanarAVX5121x11, 12: convRowPlanarAVX5121x12, 13: convRowPlanarAVX5121x13,
				14: convRowPlanarAVX5121x14, 15: convRowPlanarAVX5121x15, 16: convRowPlanarAVX5121x16, 17: convRowPlanarAVX5121x17,
				18: convRowPlanarAVX5121x18, 19: convRowPlanarAVX5121x19, 20: convRowPlanarAVX5121x20, 21: convRowPlanarAVX5121x21,
				22: convRowPlanarAVX5121x22, 23: convRowPlanarAVX5121x23, 24: convRowPlanarAVX5121x24, 25: convRowPlanarAVX5121x25,
				26: convRowPlanarAVX5121x26, 27: convRowPlanarAVX5121x27, 28: convRowPlanarAVX5121x28,
			},
			2: {
				1: convRowPlanarAVX5122x1, 2: convRowPlanarAVX5122x2, 3: convRowPlanarAVX5122x3, 4: convRowPlanarAVX5122x4, 5: convRowPlanarAVX5122x5,
				6: convRowPlanarAVX5122x6, 7: convRowPlanarAVX5122x7, 8: convRowPlanarAVX5122x8, 9: convRowPlanarAVX5122x9,
				10: convRowPlanarAVX5122x10, 11: convRowPlanarAVX5122x11, 12: convRowPlanarAVX5122x12, 13: convRowPlanarAVX5122x13,
				14: convRowPlanarAVX5122x14,
			},
		},
		convLanewise: {
			1: {
				1: convRowLanewiseAVX5121x1, 2: convRowLanewiseAVX5121x2, 3: convRowLanewiseAVX5121x3, 4: convRowLanewiseAVX5121x4,
				5: convRowLanewiseAVX5121x5, 6: convRowLanewiseAVX5121x6, 7: convRowLanewiseAVX5121x7, 8: convRowLanewiseAVX5121x8,
				9: convRowLanewiseAVX5121x9, 10: convRowLanewiseAVX5121x10, 11: convRowLanewiseAVX5121x11, 12: convRowLanewiseAVX5121x12,
				13: convRowLanewiseAVX5121x13, 14: convRowLanewiseAVX5121x14,
			},
		},
	},
	gradLimits:  convGradLimits{blocks: 2, sums: 16, runSums: 28},
	gradBlocked: convGradBlockedAVX5121x16,
	gradPair:    convGradBlockedAVX5122x8,
	gradRuns: [convKinds][convMaxRun + 1][]convGradRunsFunc{
		convPlanar: {
			1: {
				1: convGradPlanarAVX5121x1, 2: convGradPlanarAVX5121x2, 3: convGradPlanarAVX5121x3, 4: convGradPlanarAVX5121x4,
				5: convGradPlanarAVX5121x5, 6: convGradPlanarAVX5121x6, 7: convGradPlanarAVX5121x7, 8: convGradPlanarAVX5121x8,
				9: convGradPlanarAVX5121x9,
			},
			2: {
				1: convGradPlanarAVX5122x1, 2: convGradPlanarAVX5122x2, 3: convGradPlanarAVX5122x3, 4: convGradPlanarAVX5122x4,
				5: convGradPlanarAVX5122x5, 6: convGradPlanarAVX5122x6, 7: convGradPlanarAVX5122x7, 8: convGradPlanarAVX5122x8,
				9: convGradPlanarAVX5122x9,
			},
			3: {
				1: convGradPlanarAVX5123x1, 2: convGradPlanarAVX5123x2, 3: convGradPlanarAVX5123x3, 4: convGradPlanarAVX5123x4,
				5: convGradPlanarAVX5123x5, 6: convGradPlanarAVX5123x6, 7: convGradPlanarAVX5123x7, 8: convGradPlanarAVX5123x8,
				9: convGradPlanarAVX5123x9,
			},
			4: {
				1: convGradPlanarAVX5124x1, 2: convGradPlanarAVX5124x2, 3: convGradPlanarAVX5124x3, 4: convGradPlanarAVX5124x4,
				5: convGradPlanarAVX5124x5, 6: convGradPlanarAVX5124x6, 7: convGradPlanarAVX5124x7,
			},
			5: {
				1: convGradPlanarAVX5125x1, 2: convGradPlanarAVX5125x2, 3: convGradPlanarAVX5125x3, 4: convGradPlanarAVX5125x4,
				5: convGradPlanarAVX5125x5,
			},
			6: {
				1: convGradPlanarAVX5126x1, 2: convGradPlanarAVX5126x2, 3: convGradPlanarAVX5126x3, 4: convGradPlanarAVX5126x4,
			},
			7: {
				1: convGradPlanarAVX5127x1, 2: convGradPlanarAVX5127x2, 3: convGradPlanarAVX5127x3, 4: convGradPlanarAVX5127x4,
			},
		},
		convLanewise: {
			1: {
				1: convGradLanewiseAVX5121x1, 2: convGradLanewiseAVX5121x2, 3: convGradLanewiseAVX5121x3, 4: convGradLanewiseAVX5121x4,
				5: convGradLanewiseAVX5121x5, 6: convGradLanewiseAVX5121x6, 7: convGradLanewiseAVX5121x7, 8: convGradLanewiseAVX5121x8,
				9: convGradLanewiseAVX5121x9,
			},
			2: {
				1: convGradLanewiseAVX5122x1, 2: convGradLanewiseAVX5122x2, 3: convGradLanewiseAVX5122x3, 4: convGradLanewiseAVX5122x4,
				5: convGradLanewiseAVX5122x5, 6: convGradLanewiseAVX5122x6, 7: convGradLanewiseAVX5122x7, 8: convGradLanewiseAVX5122x8,
				9: convGradLanewiseAVX5122x9,
			},
			3: {
				1: convGradLanewiseAVX5123x1, 2: convGradLanewiseAVX5123x2, 3: convGradLanewiseAVX5123x3, 4: convGradLanewiseAVX5123x4,
				5: convGradLanewiseAVX5123x5, 6: convGradLanewiseAVX5123x6, 7: convGradLanewiseAVX5123x7, 8: convGradLanewiseAVX5123x8,
				9: convGradLanewiseAVX5123x9,
			},
			4: {
				1: convGradLanewiseAVX5124x1, 2: convGradLanewiseAVX5124x2, 3: convGradLanewiseAVX5124x3, 4: convGradLanewiseAVX5124x4,
				5: convGradLanewiseAVX5124x5, 6: convGradLanewiseAVX5124x6, 7: convGradLanewiseAVX5124x7,
			},
			5: {
				1: convGradLanewiseAVX5125x1, 2: convGradLanewiseAVX5125x2, 3: convGradLanewiseAVX5125x3, 4: convGradLanewiseAVX5125x4,
				5: convGradLanewiseAVX5125x5,
			},
			6: {
				1: convGradLanewiseAVX5126x1, 2: convGradLanewiseAVX5126x2, 3: convGradLanewiseAVX5126x3, 4: convGradLanewiseAVX5126x4,
			},
			7: {
				1: convGradLanewiseAVX5127x1, 2: convGradLanewiseAVX5127x2, 3: convGradLanewiseAVX5127x3, 4: convGradLanewiseAVX5127x4,
			},
		},
	},
}

var convAVX2 = convAssembly{
	tiles: [convKinds]convTile{
		convBlocked:  {1: 6},
		convPlanar:   {1: 6},
		convLanewise: {1: 6},
	},
	rows: [convKinds][convMaxBlocks + 1][]convRowFunc{
		convBlocked: {
			1: {
				1: convRowBlockedAVX21x1, 2: convRowBlockedAVX21x2, 3: convRowBlockedAVX21x3, 4: convRowBlockedAVX21x4, 5: convRowBlockedAVX21x5,
				6: convRowBlockedAVX21x6,
			},
		},
		convPlanar: {
			1: {
				1: convRowPlanarAVX21x1, 2: convRowPlanarAVX21x2, 3: convRowPlanarAVX21x3, 4: convRowPlanarAVX21x4, 5: convRowPlanarAVX21x5,
				6: convRowPlanarAVX21x6,
			},
		},
		convLanewise: {
			1: {
				1: convRowLanewiseAVX21x1, 2: convRowLanewiseAVX21x2, 3: convRowLanewiseAVX21x3, 4: convRowLanewiseAVX21x4, 5: convRowLanewiseAVX21x5,
				6: convRowLanewiseAVX21x6,
			},
		},
	},
	gradLimits:  convGradLimits{blocks: 1, sums: 4, runSums: 6},
	gradBlocked: convGradBlockedAVX21x4,
	gradRuns: [convKinds][convMaxRun + 1][]convGradRunsFunc{
		convPlanar: {
			1: {
				1: convGradPlanarAVX21x1, 2: convGradPlanarAVX21x2, 3: convGradPlanarAVX21x3, 4: convGradPlanarAVX21x4, 5: convGradPlanarAVX21x5,
				6: convGradPlanarAVX21x6,
			},
			2: {
				1: convGradPlanarAVX22x1, 2: convGradPlanarAVX22x2, 3: convGradPlanarAVX22x3,
			},
			3: {
				1: convGradPlanarAVX23x1, 2: convGradPlanarAVX23x2,
			},
			4: {
				1: convGradPlanarAVX24x1,
			},
			5: {
				1: convGradPlanarAVX25x1,
			},
			6: {
				1: convGradPlanarAVX26x1,
			},
		},
		convLanewise: {
			1: {
				1: convGradLanewiseAVX21x1, 2: convGradLanewiseAVX21x2, 3: convGradLanewiseAVX21x3, 4: convGradLanewiseAVX21x4,
				5: convGradLanewiseAVX21x5, 6: convGradLanewiseAVX21x6,
			},
			2: {
				1: convGradLanewiseAVX22x1, 2: convGradLanewiseAVX22x2, 3: convGradLanewiseAVX22x3,
			},
			3: {
				1: convGradLanewiseAVX23x1, 2: convGradLanewiseAVX23x2,
			},
			4: {
				1: convGradLanewiseAVX24x1,
			},
			5: {
				1: convGradLanewiseAVX25x1,
			},
			6: {
				1: convGradLanewiseAVX26x1,
			},
		},
	},
}
