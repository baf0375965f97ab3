package kernels

func (l Level) convTile(kind convKind) convTile { return convTilesPortable[kind] }

func (l Level) convRow(r *convRow, kind convKind, blocks, pixels, tiles int) {
	convRowPortable(r, kind, blocks, pixels, tiles)
}

func (l Level) convGradBlocks(convKind) int { return 1 }

func (l Level) convGrad(t *convGradTile) { convGradPortable(t) }
