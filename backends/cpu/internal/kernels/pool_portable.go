package kernels

var portablePool = poolTable{max: maxWindowPortable, maxGrad: maxGradWindowPortable, sum: sumWindowPortable, spread: spreadWindowPortable}

func maxWindowPortable(out, x []float32, rows, cols, ld int) {
	copy(out, x[:Block])
	for r := range rows {
		for i := r * ld; i < r*ld+cols*Block; i += Block {
			for j, v := range x[i : i+Block] {
				if v > out[j] || v != v {
					out[j] = v
				}
			}
		}
	}
}

func maxGradWindowPortable(dx, x, dy []float32, rows, cols, ld int) {
	best, winner := [Block]float32(x[:Block]), [Block]int{}
	for r := range rows {
		for i := r * ld; i < r*ld+cols*Block; i += Block {
			for j, v := range x[i : i+Block] {
				if v > best[j] || v != v {
					best[j], winner[j] = v, i
				}
			}
		}
	}
	for j, g := range dy[:Block] {
		dx[winner[j]+j] += g
	}
}

func sumWindowPortable(out, x []float32, rows, cols, ld int, share float32) {
	var sum [Block]float32
	for r := range rows {
		for i := r * ld; i < r*ld+cols*Block; i += Block {
			for j, v := range x[i : i+Block] {
				sum[j] += v
			}
		}
	}
	for j, v := range sum {
		out[j] = v * share
	}
}

func spreadWindowPortable(dx, dy []float32, rows, cols, ld int, share float32) {
	var g [Block]float32
	for j, v := range dy[:Block] {
		g[j] = v * share
	}
	for r := range rows {
		for i := r * ld; i < r*ld+cols*Block; i += Block {
			for j, v := range g {
				dx[i+j] += v
			}
		}
	}
}
