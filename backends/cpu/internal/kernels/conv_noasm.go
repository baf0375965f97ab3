//go:build !amd64 || noasm

package kernels

func (l InstructionSet) convTiles(kind convKind) *convTiles { return &convTilesPortable[kind] }

func (l InstructionSet) convGradLimits() *convGradLimits { return &convGradLimitsPortable }

func (l InstructionSet) convBand(b *convBand, pixels, tiles int) { convBandPortable(b, pixels, tiles) }

func (l InstructionSet) convGrad(t *convGradTile) { convGradPortable(t) }

func (l InstructionSet) fillRows(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	fillRowsPortable(dst, src, rows, left, n, right, pitch, srcRow)
}
