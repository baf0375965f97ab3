//go:build !amd64 || noasm

package kernels

// In this build the portable kernels serve all instruction sets.

func (isa InstructionSet) convTiles(kind convKind) *convTiles { return &convTilesPortable[kind] }

func (isa InstructionSet) convGradLimits() *convGradLimits { return &convGradLimitsPortable }

func (isa InstructionSet) convBand(b *convBand, pixels, tiles int) {
	convBandPortable(b, pixels, tiles)
}

func (isa InstructionSet) convGrad(t *convGradTile) { convGradPortable(t) }

func (isa InstructionSet) fillRows(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	fillRowsPortable(dst, src, rows, left, n, right, pitch, srcRow)
}
