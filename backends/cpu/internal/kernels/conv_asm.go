//go:build amd64 && !noasm

package kernels

type (
	// convBandFunc is a band kernel for one length of runs, number of blocks and number of pixels
	// of a tile: see convBand. Distances are in elements. A skip is the distance from the end of a
	// row to the next row. next and end are the addresses of the first and last element to
	// prefetch.
	convBandFunc = func(dst, init, src, w *float32, offsets *int, entries, chans, rows, tiles,
		dstPixel, dstBlock, dstSkip, initPixel, initBlock, initSkip, srcSkip int, floor float32, next, end *float32)

	// convGradFunc is a weight gradient kernel of kind blocked for one length of the run and number
	// of blocks: see convGradTile. It processes groups of a fixed number of channels.
	convGradFunc = func(acc, x, dy *float32, groups, accBlock, dyBlock, rows, cols, xRow, dyRow, extraAcc, extraX int, next, end *float32)

	// convGradRunsFunc is a weight gradient kernel of kind planar or lanewise for one length and
	// number of runs.
	convGradRunsFunc = func(acc, x, dy *float32, offsets *int, rows, cols, xRow, dyRow int, next, end *float32)

	// convFillFunc is fillRows without bounds checks.
	convFillFunc = func(dst, src *float32, rows, left, n, right, pitch, srcRow int)
)

// convAssembly is the convolution kernels of an instruction set.
type convAssembly struct {
	tiles [convKinds]convTiles // the sizes of bands
	// by kind, run, blocks, pixels
	bands [convKinds][convMaxTaps + 1][convMaxBlocks + 1][]convBandFunc
	// the sizes of grads, splits and gradRuns
	limits convGradLimits
	grads  [convMaxTaps + 1][3]convGradFunc // by length, blocks
	// of length 2 (convGradPair…), by blocks
	splits   [3]convGradFunc
	gradRuns [convKinds][convMaxRun + 1][]convGradRunsFunc // by kind, length, runs
	fill     convFillFunc
}

// convAssemblyOf returns the assembly kernels of an instruction set, nil for Portable.
func convAssemblyOf(isa InstructionSet) *convAssembly {
	switch isa {
	case AVX512:
		return &convAVX512
	case AVX2:
		return &convAVX2
	}
	return nil
}

// convTiles returns the sizes of the band kernels of a kind.
func (isa InstructionSet) convTiles(kind convKind) *convTiles {
	if a := convAssemblyOf(isa); a != nil {
		return &a.tiles[kind]
	}
	return &convTilesPortable[kind]
}

// convGradLimits returns the sizes of the weight gradient kernels.
func (isa InstructionSet) convGradLimits() *convGradLimits {
	if a := convAssemblyOf(isa); a != nil {
		return &a.limits
	}
	return &convGradLimitsPortable
}

// convBand computes tiles·pixels columns of a band, in tiles of pixels columns. The expressions
// that are assigned to _ are the bounds checks of what the assembly writes and reads.
func (isa InstructionSet) convBand(b *convBand, pixels, tiles int) {
	a := convAssemblyOf(isa)
	if a == nil {
		convBandPortable(b, pixels, tiles)
		return
	}
	entries, cols, y := b.entries(), pixels*tiles, b.rows-1
	_ = b.dst[(b.blocks-1)*b.dstBlock+y*b.dstRow+(cols-1)*b.dstPixel+Block-1]
	_ = b.init[(b.blocks-1)*b.initBlock+y*b.initRow+(cols-1)*b.initPixel+Block-1]
	_ = b.w[:b.weights()]
	next, end := convAhead(b.ahead, b.dst)
	a.bands[b.kind][b.run][b.blocks][pixels](&b.dst[0], &b.init[0], convFirst(b.src), convFirst(b.w), convFirst(b.offsets),
		entries, b.chans, b.rows, tiles,
		b.dstPixel, b.dstBlock, b.dstRow-cols*b.dstPixel, b.initPixel, b.initBlock, b.initRow-cols*b.initPixel,
		b.srcRow-cols*b.kind.unit(), b.floor, next, end)
}

// weights returns the number of weights of the band.
func (band *convBand) weights() int {
	each := band.run * band.blocks
	if band.kind == convPaired {
		each = 3
	}
	return band.entries() * band.chans * each * Block
}

// convGrad adds a tile to its sums. The expressions that are assigned to _ are bounds checks.
func (isa InstructionSet) convGrad(t *convGradTile) {
	a := convAssemblyOf(isa)
	if a == nil {
		convGradPortable(t)
		return
	}
	_ = t.dy[(t.blocks-1)*t.dyBlock+(t.rows-1)*t.dyRow+t.cols*Block-1]
	next, end := convAhead(t.ahead, t.acc)
	if t.kind != convBlocked {
		runs := len(t.offsets)
		_ = t.acc[runs*t.length*Block-1]
		a.gradRuns[t.kind][t.length][runs](&t.acc[0], &t.x[0], &t.dy[0], &t.offsets[0], t.rows, t.cols, t.xRow, t.dyRow, next, end)
		return
	}
	_ = t.acc[(t.blocks-1)*t.accBlock+((t.length-1)*Block+t.chans)*Block-1]
	_ = t.x[(t.rows-1)*t.xRow+(t.cols+t.length-2)*Block+t.chans-1]
	kernel := a.grads[t.length][t.blocks]
	if t.split {
		kernel = a.splits[t.blocks]
	}
	kernel(&t.acc[0], &t.x[0], &t.dy[0], t.chans/a.limits.chans[t.length][t.blocks], t.accBlock, t.dyBlock,
		t.rows, t.cols, t.xRow, t.dyRow, t.extraAcc, t.extraX, next, end)
}

// fillRows writes rows to dst, each with left zero pixels, n pixels of src and right zero pixels.
// Pixel q of row r is at src[r·srcRow + q·pitch].
func (isa InstructionSet) fillRows(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	a := convAssemblyOf(isa)
	if a == nil {
		fillRowsPortable(dst, src, rows, left, n, right, pitch, srcRow)
		return
	}
	_, _ = dst[rows*(left+n+right)*Block-1], src[(rows-1)*srcRow+(n-1)*pitch+Block-1]
	a.fill(&dst[0], &src[0], rows, left, n, right, pitch, srcRow)
}

// convAhead returns the addresses of the first and the last element to prefetch. If there are none,
// it returns the address of cached, which is in the cache already.
func convAhead(ahead, cached []float32) (next, end *float32) {
	if len(ahead) == 0 {
		return &cached[0], &cached[0]
	}
	return &ahead[0], &ahead[len(ahead)-1]
}

// convFirst returns the address of the first element of s, nil if s is empty.
func convFirst[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[0]
}

var convAVX512 = convAssembly{
	fill: convFillAVX512,
	tiles: [convKinds]convTiles{
		convBlocked:  {1: {1: 16, 2: 14, 4: 6}, 2: {1: 16, 2: 12}, 3: {1: 16, 2: 12}},
		convPaired:   {2: {2: 12}},
		convSplit:    {3: {1: 16, 2: 12}},
		convPlanar:   {1: {1: 16, 2: 12}, 2: {1: 16, 2: 12}, 3: {1: 16, 2: 12}},
		convLanewise: {1: {1: 14}, 2: {1: 14}, 3: {1: 14}},
	},
	bands: [convKinds][convMaxTaps + 1][convMaxBlocks + 1][]convBandFunc{
		convBlocked: {
			1: {
				1: {
					1: convBandBlockedAVX5121x1x1, 2: convBandBlockedAVX5121x1x2, 3: convBandBlockedAVX5121x1x3, 4: convBandBlockedAVX5121x1x4,
					5: convBandBlockedAVX5121x1x5, 6: convBandBlockedAVX5121x1x6, 7: convBandBlockedAVX5121x1x7, 8: convBandBlockedAVX5121x1x8,
					9: convBandBlockedAVX5121x1x9, 10: convBandBlockedAVX5121x1x10, 11: convBandBlockedAVX5121x1x11, 12: convBandBlockedAVX5121x1x12,
					13: convBandBlockedAVX5121x1x13, 14: convBandBlockedAVX5121x1x14, 15: convBandBlockedAVX5121x1x15, 16: convBandBlockedAVX5121x1x16,
				},
				2: {
					1: convBandBlockedAVX5121x2x1, 2: convBandBlockedAVX5121x2x2, 3: convBandBlockedAVX5121x2x3, 4: convBandBlockedAVX5121x2x4,
					5: convBandBlockedAVX5121x2x5, 6: convBandBlockedAVX5121x2x6, 7: convBandBlockedAVX5121x2x7, 8: convBandBlockedAVX5121x2x8,
					9: convBandBlockedAVX5121x2x9, 10: convBandBlockedAVX5121x2x10, 11: convBandBlockedAVX5121x2x11, 12: convBandBlockedAVX5121x2x12,
					13: convBandBlockedAVX5121x2x13, 14: convBandBlockedAVX5121x2x14,
				},
				4: {
					1: convBandBlockedAVX5121x4x1, 2: convBandBlockedAVX5121x4x2, 3: convBandBlockedAVX5121x4x3, 4: convBandBlockedAVX5121x4x4,
					5: convBandBlockedAVX5121x4x5, 6: convBandBlockedAVX5121x4x6,
				},
			},
			2: {
				1: {
					1: convBandBlockedAVX5122x1x1, 2: convBandBlockedAVX5122x1x2, 3: convBandBlockedAVX5122x1x3, 4: convBandBlockedAVX5122x1x4,
					5: convBandBlockedAVX5122x1x5, 6: convBandBlockedAVX5122x1x6, 7: convBandBlockedAVX5122x1x7, 8: convBandBlockedAVX5122x1x8,
					9: convBandBlockedAVX5122x1x9, 10: convBandBlockedAVX5122x1x10, 11: convBandBlockedAVX5122x1x11, 12: convBandBlockedAVX5122x1x12,
					13: convBandBlockedAVX5122x1x13, 14: convBandBlockedAVX5122x1x14, 15: convBandBlockedAVX5122x1x15, 16: convBandBlockedAVX5122x1x16,
				},
				2: {
					1: convBandBlockedAVX5122x2x1, 2: convBandBlockedAVX5122x2x2, 3: convBandBlockedAVX5122x2x3, 4: convBandBlockedAVX5122x2x4,
					5: convBandBlockedAVX5122x2x5, 6: convBandBlockedAVX5122x2x6, 7: convBandBlockedAVX5122x2x7, 8: convBandBlockedAVX5122x2x8,
					9: convBandBlockedAVX5122x2x9, 10: convBandBlockedAVX5122x2x10, 11: convBandBlockedAVX5122x2x11, 12: convBandBlockedAVX5122x2x12,
				},
			},
			3: {
				1: {
					1: convBandBlockedAVX5123x1x1, 2: convBandBlockedAVX5123x1x2, 3: convBandBlockedAVX5123x1x3, 4: convBandBlockedAVX5123x1x4,
					5: convBandBlockedAVX5123x1x5, 6: convBandBlockedAVX5123x1x6, 7: convBandBlockedAVX5123x1x7, 8: convBandBlockedAVX5123x1x8,
					9: convBandBlockedAVX5123x1x9, 10: convBandBlockedAVX5123x1x10, 11: convBandBlockedAVX5123x1x11, 12: convBandBlockedAVX5123x1x12,
					13: convBandBlockedAVX5123x1x13, 14: convBandBlockedAVX5123x1x14, 15: convBandBlockedAVX5123x1x15, 16: convBandBlockedAVX5123x1x16,
				},
				2: {
					1: convBandBlockedAVX5123x2x1, 2: convBandBlockedAVX5123x2x2, 3: convBandBlockedAVX5123x2x3, 4: convBandBlockedAVX5123x2x4,
					5: convBandBlockedAVX5123x2x5, 6: convBandBlockedAVX5123x2x6, 7: convBandBlockedAVX5123x2x7, 8: convBandBlockedAVX5123x2x8,
					9: convBandBlockedAVX5123x2x9, 10: convBandBlockedAVX5123x2x10, 11: convBandBlockedAVX5123x2x11, 12: convBandBlockedAVX5123x2x12,
				},
			},
		},
		convPaired: {
			2: {
				2: {
					1: convBandPairedAVX5122x2x1, 2: convBandPairedAVX5122x2x2, 3: convBandPairedAVX5122x2x3, 4: convBandPairedAVX5122x2x4,
					5: convBandPairedAVX5122x2x5, 6: convBandPairedAVX5122x2x6, 7: convBandPairedAVX5122x2x7, 8: convBandPairedAVX5122x2x8,
					9: convBandPairedAVX5122x2x9, 10: convBandPairedAVX5122x2x10, 11: convBandPairedAVX5122x2x11, 12: convBandPairedAVX5122x2x12,
				},
			},
		},
		convSplit: {
			3: {
				1: {
					1: convBandSplitAVX5123x1x1, 2: convBandSplitAVX5123x1x2, 3: convBandSplitAVX5123x1x3, 4: convBandSplitAVX5123x1x4,
					5: convBandSplitAVX5123x1x5, 6: convBandSplitAVX5123x1x6, 7: convBandSplitAVX5123x1x7, 8: convBandSplitAVX5123x1x8,
					9: convBandSplitAVX5123x1x9, 10: convBandSplitAVX5123x1x10, 11: convBandSplitAVX5123x1x11, 12: convBandSplitAVX5123x1x12,
					13: convBandSplitAVX5123x1x13, 14: convBandSplitAVX5123x1x14, 15: convBandSplitAVX5123x1x15, 16: convBandSplitAVX5123x1x16,
				},
				2: {
					1: convBandSplitAVX5123x2x1, 2: convBandSplitAVX5123x2x2, 3: convBandSplitAVX5123x2x3, 4: convBandSplitAVX5123x2x4,
					5: convBandSplitAVX5123x2x5, 6: convBandSplitAVX5123x2x6, 7: convBandSplitAVX5123x2x7, 8: convBandSplitAVX5123x2x8,
					9: convBandSplitAVX5123x2x9, 10: convBandSplitAVX5123x2x10, 11: convBandSplitAVX5123x2x11, 12: convBandSplitAVX5123x2x12,
				},
			},
		},
		convPlanar: {
			1: {
				1: {
					1: convBandPlanarAVX5121x1x1, 2: convBandPlanarAVX5121x1x2, 3: convBandPlanarAVX5121x1x3, 4: convBandPlanarAVX5121x1x4,
					5: convBandPlanarAVX5121x1x5, 6: convBandPlanarAVX5121x1x6, 7: convBandPlanarAVX5121x1x7, 8: convBandPlanarAVX5121x1x8,
					9: convBandPlanarAVX5121x1x9, 10: convBandPlanarAVX5121x1x10, 11: convBandPlanarAVX5121x1x11, 12: convBandPlanarAVX5121x1x12,
					13: convBandPlanarAVX5121x1x13, 14: convBandPlanarAVX5121x1x14, 15: convBandPlanarAVX5121x1x15, 16: convBandPlanarAVX5121x1x16,
				},
				2: {
					1: convBandPlanarAVX5121x2x1, 2: convBandPlanarAVX5121x2x2, 3: convBandPlanarAVX5121x2x3, 4: convBandPlanarAVX5121x2x4,
					5: convBandPlanarAVX5121x2x5, 6: convBandPlanarAVX5121x2x6, 7: convBandPlanarAVX5121x2x7, 8: convBandPlanarAVX5121x2x8,
					9: convBandPlanarAVX5121x2x9, 10: convBandPlanarAVX5121x2x10, 11: convBandPlanarAVX5121x2x11, 12: convBandPlanarAVX5121x2x12,
				},
			},
			2: {
				1: {
					1: convBandPlanarAVX5122x1x1, 2: convBandPlanarAVX5122x1x2, 3: convBandPlanarAVX5122x1x3, 4: convBandPlanarAVX5122x1x4,
					5: convBandPlanarAVX5122x1x5, 6: convBandPlanarAVX5122x1x6, 7: convBandPlanarAVX5122x1x7, 8: convBandPlanarAVX5122x1x8,
					9: convBandPlanarAVX5122x1x9, 10: convBandPlanarAVX5122x1x10, 11: convBandPlanarAVX5122x1x11, 12: convBandPlanarAVX5122x1x12,
					13: convBandPlanarAVX5122x1x13, 14: convBandPlanarAVX5122x1x14, 15: convBandPlanarAVX5122x1x15, 16: convBandPlanarAVX5122x1x16,
				},
				2: {
					1: convBandPlanarAVX5122x2x1, 2: convBandPlanarAVX5122x2x2, 3: convBandPlanarAVX5122x2x3, 4: convBandPlanarAVX5122x2x4,
					5: convBandPlanarAVX5122x2x5, 6: convBandPlanarAVX5122x2x6, 7: convBandPlanarAVX5122x2x7, 8: convBandPlanarAVX5122x2x8,
					9: convBandPlanarAVX5122x2x9, 10: convBandPlanarAVX5122x2x10, 11: convBandPlanarAVX5122x2x11, 12: convBandPlanarAVX5122x2x12,
				},
			},
			3: {
				1: {
					1: convBandPlanarAVX5123x1x1, 2: convBandPlanarAVX5123x1x2, 3: convBandPlanarAVX5123x1x3, 4: convBandPlanarAVX5123x1x4,
					5: convBandPlanarAVX5123x1x5, 6: convBandPlanarAVX5123x1x6, 7: convBandPlanarAVX5123x1x7, 8: convBandPlanarAVX5123x1x8,
					9: convBandPlanarAVX5123x1x9, 10: convBandPlanarAVX5123x1x10, 11: convBandPlanarAVX5123x1x11, 12: convBandPlanarAVX5123x1x12,
					13: convBandPlanarAVX5123x1x13, 14: convBandPlanarAVX5123x1x14, 15: convBandPlanarAVX5123x1x15, 16: convBandPlanarAVX5123x1x16,
				},
				2: {
					1: convBandPlanarAVX5123x2x1, 2: convBandPlanarAVX5123x2x2, 3: convBandPlanarAVX5123x2x3, 4: convBandPlanarAVX5123x2x4,
					5: convBandPlanarAVX5123x2x5, 6: convBandPlanarAVX5123x2x6, 7: convBandPlanarAVX5123x2x7, 8: convBandPlanarAVX5123x2x8,
					9: convBandPlanarAVX5123x2x9, 10: convBandPlanarAVX5123x2x10, 11: convBandPlanarAVX5123x2x11, 12: convBandPlanarAVX5123x2x12,
				},
			},
		},
		convLanewise: {
			1: {
				1: {
					1: convBandLanewiseAVX5121x1x1, 2: convBandLanewiseAVX5121x1x2, 3: convBandLanewiseAVX5121x1x3, 4: convBandLanewiseAVX5121x1x4,
					5: convBandLanewiseAVX5121x1x5, 6: convBandLanewiseAVX5121x1x6, 7: convBandLanewiseAVX5121x1x7, 8: convBandLanewiseAVX5121x1x8,
					9: convBandLanewiseAVX5121x1x9, 10: convBandLanewiseAVX5121x1x10, 11: convBandLanewiseAVX5121x1x11, 12: convBandLanewiseAVX5121x1x12,
					13: convBandLanewiseAVX5121x1x13, 14: convBandLanewiseAVX5121x1x14,
				},
			},
			2: {
				1: {
					1: convBandLanewiseAVX5122x1x1, 2: convBandLanewiseAVX5122x1x2, 3: convBandLanewiseAVX5122x1x3, 4: convBandLanewiseAVX5122x1x4,
					5: convBandLanewiseAVX5122x1x5, 6: convBandLanewiseAVX5122x1x6, 7: convBandLanewiseAVX5122x1x7, 8: convBandLanewiseAVX5122x1x8,
					9: convBandLanewiseAVX5122x1x9, 10: convBandLanewiseAVX5122x1x10, 11: convBandLanewiseAVX5122x1x11, 12: convBandLanewiseAVX5122x1x12,
					13: convBandLanewiseAVX5122x1x13, 14: convBandLanewiseAVX5122x1x14,
				},
			},
			3: {
				1: {
					1: convBandLanewiseAVX5123x1x1, 2: convBandLanewiseAVX5123x1x2, 3: convBandLanewiseAVX5123x1x3, 4: convBandLanewiseAVX5123x1x4,
					5: convBandLanewiseAVX5123x1x5, 6: convBandLanewiseAVX5123x1x6, 7: convBandLanewiseAVX5123x1x7, 8: convBandLanewiseAVX5123x1x8,
					9: convBandLanewiseAVX5123x1x9, 10: convBandLanewiseAVX5123x1x10, 11: convBandLanewiseAVX5123x1x11, 12: convBandLanewiseAVX5123x1x12,
					13: convBandLanewiseAVX5123x1x13, 14: convBandLanewiseAVX5123x1x14,
				},
			},
		},
	},
	limits: convGradLimits{
		blocks: 2, longest: 3, split: true, window: 31,
		chans: [convMaxTaps + 1][3]int{1: {1: 16, 2: 8}, 2: {1: 8, 2: 4}, 3: {1: 8, 2: 4}},
	},
	splits: [3]convGradFunc{1: convGradPairAVX5122x1x8, 2: convGradPairAVX5122x2x4},
	grads: [convMaxTaps + 1][3]convGradFunc{
		1: {1: convGradBlockedAVX5121x1x16, 2: convGradBlockedAVX5121x2x8},
		2: {1: convGradBlockedAVX5122x1x8, 2: convGradBlockedAVX5122x2x4},
		3: {1: convGradBlockedAVX5123x1x8, 2: convGradBlockedAVX5123x2x4},
	},
	gradRuns: [convKinds][convMaxRun + 1][]convGradRunsFunc{
		convPlanar: {
			1: {
				1: convGradPlanarAVX5121x1, 2: convGradPlanarAVX5121x2, 3: convGradPlanarAVX5121x3, 4: convGradPlanarAVX5121x4, 5: convGradPlanarAVX5121x5,
				6: convGradPlanarAVX5121x6, 7: convGradPlanarAVX5121x7, 8: convGradPlanarAVX5121x8, 9: convGradPlanarAVX5121x9,
			},
			2: {
				1: convGradPlanarAVX5122x1, 2: convGradPlanarAVX5122x2, 3: convGradPlanarAVX5122x3, 4: convGradPlanarAVX5122x4, 5: convGradPlanarAVX5122x5,
				6: convGradPlanarAVX5122x6, 7: convGradPlanarAVX5122x7, 8: convGradPlanarAVX5122x8, 9: convGradPlanarAVX5122x9,
			},
			3: {
				1: convGradPlanarAVX5123x1, 2: convGradPlanarAVX5123x2, 3: convGradPlanarAVX5123x3, 4: convGradPlanarAVX5123x4, 5: convGradPlanarAVX5123x5,
				6: convGradPlanarAVX5123x6, 7: convGradPlanarAVX5123x7, 8: convGradPlanarAVX5123x8, 9: convGradPlanarAVX5123x9,
			},
			4: {
				1: convGradPlanarAVX5124x1, 2: convGradPlanarAVX5124x2, 3: convGradPlanarAVX5124x3, 4: convGradPlanarAVX5124x4, 5: convGradPlanarAVX5124x5,
				6: convGradPlanarAVX5124x6,
			},
			5: {
				1: convGradPlanarAVX5125x1, 2: convGradPlanarAVX5125x2, 3: convGradPlanarAVX5125x3, 4: convGradPlanarAVX5125x4, 5: convGradPlanarAVX5125x5,
			},
			6: {
				1: convGradPlanarAVX5126x1, 2: convGradPlanarAVX5126x2, 3: convGradPlanarAVX5126x3, 4: convGradPlanarAVX5126x4,
			},
			7: {
				1: convGradPlanarAVX5127x1, 2: convGradPlanarAVX5127x2, 3: convGradPlanarAVX5127x3,
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
				5: convGradLanewiseAVX5124x5, 6: convGradLanewiseAVX5124x6,
			},
			5: {
				1: convGradLanewiseAVX5125x1, 2: convGradLanewiseAVX5125x2, 3: convGradLanewiseAVX5125x3, 4: convGradLanewiseAVX5125x4,
				5: convGradLanewiseAVX5125x5,
			},
			6: {
				1: convGradLanewiseAVX5126x1, 2: convGradLanewiseAVX5126x2, 3: convGradLanewiseAVX5126x3, 4: convGradLanewiseAVX5126x4,
			},
			7: {
				1: convGradLanewiseAVX5127x1, 2: convGradLanewiseAVX5127x2, 3: convGradLanewiseAVX5127x3,
			},
		},
	},
}

var convAVX2 = convAssembly{
	fill: convFillAVX2,
	tiles: [convKinds]convTiles{
		convBlocked:  {1: {1: 6}},
		convPlanar:   {1: {1: 6}},
		convLanewise: {1: {1: 6}},
	},
	bands: [convKinds][convMaxTaps + 1][convMaxBlocks + 1][]convBandFunc{
		convBlocked: {
			1: {
				1: {
					1: convBandBlockedAVX21x1x1, 2: convBandBlockedAVX21x1x2, 3: convBandBlockedAVX21x1x3, 4: convBandBlockedAVX21x1x4,
					5: convBandBlockedAVX21x1x5, 6: convBandBlockedAVX21x1x6,
				},
			},
		},
		convPlanar: {
			1: {
				1: {
					1: convBandPlanarAVX21x1x1, 2: convBandPlanarAVX21x1x2, 3: convBandPlanarAVX21x1x3, 4: convBandPlanarAVX21x1x4, 5: convBandPlanarAVX21x1x5,
					6: convBandPlanarAVX21x1x6,
				},
			},
		},
		convLanewise: {
			1: {
				1: {
					1: convBandLanewiseAVX21x1x1, 2: convBandLanewiseAVX21x1x2, 3: convBandLanewiseAVX21x1x3, 4: convBandLanewiseAVX21x1x4,
					5: convBandLanewiseAVX21x1x5, 6: convBandLanewiseAVX21x1x6,
				},
			},
		},
	},
	limits: convGradLimits{
		blocks: 1, longest: 1, window: 7,
		chans: [convMaxTaps + 1][3]int{1: {1: 4}},
	},
	grads: [convMaxTaps + 1][3]convGradFunc{
		1: {1: convGradBlockedAVX21x1x4},
	},
	gradRuns: [convKinds][convMaxRun + 1][]convGradRunsFunc{
		convPlanar: {
			1: {
				1: convGradPlanarAVX21x1, 2: convGradPlanarAVX21x2, 3: convGradPlanarAVX21x3, 4: convGradPlanarAVX21x4, 5: convGradPlanarAVX21x5,
				6: convGradPlanarAVX21x6,
			},
			2: {
				1: convGradPlanarAVX22x1, 2: convGradPlanarAVX22x2,
			},
			3: {
				1: convGradPlanarAVX23x1,
			},
		},
		convLanewise: {
			1: {
				1: convGradLanewiseAVX21x1, 2: convGradLanewiseAVX21x2, 3: convGradLanewiseAVX21x3, 4: convGradLanewiseAVX21x4, 5: convGradLanewiseAVX21x5,
				6: convGradLanewiseAVX21x6,
			},
			2: {
				1: convGradLanewiseAVX22x1, 2: convGradLanewiseAVX22x2,
			},
			3: {
				1: convGradLanewiseAVX23x1,
			},
		},
	},
}
