//go:build !amd64 || noasm

package kernels

func (l Level) convTiles(kind convKind) *convTiles { return &convTilesPortable[kind] }

func (l Level) convGradLimits() *convGradLimits { return &convGradLimitsPortable }

func (l Level) convBand(b *convBand, pixels, tiles int) { convBandPortable(b, pixels, tiles) }

func (l Level) convGrad(t *convGradTile) { convGradPortable(t) }

func (l Level) fillRows(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	fillRowsPortable(dst, src, rows, left, n, right, pitch, srcRow)
}
