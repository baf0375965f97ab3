//go:build !amd64 || noasm

package kernels

func (l Level) convTile(kind convKind) convTile { return convTilesPortable[kind] }

func (l Level) convGradLimits() convGradLimits { return convGradLimitsPortable }

func (l Level) convRow(r *convRow, kind convKind, blocks, pixels, tiles int) {
	convRowPortable(r, kind, blocks, pixels, tiles)
}

func (l Level) convGrad(t *convGradTile) { convGradPortable(t) }
