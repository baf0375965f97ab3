package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestMatMulParts tests that a product with parts is the tree of the products of its parts, for
// every tile and in guarded memory.
func TestMatMulParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, isa := range instructionSets() {
		for _, s := range [][4]int{{1, 1, 1, 1}, {3, 5, 8, 1}, {17, 33, 40, 5}, {45, 70, 23, 3}, {15, 513, 200, 25}, {340, 31, 256, 32}} {
			m := MatMul{M: s[0], N: s[1], K: s[2], LDA: s[0], LDB: s[1], LDC: s[1], TransA: true, Packed: true, Part: s[3]}
			t.Run(fmt.Sprintf("%s/%v", isa, s), func(t *testing.T) {
				a, b := guarded(t, m.M*m.K, true), guarded(t, m.K*m.N, true)
				for _, x := range [][]float32{a, b} {
					for i := range x {
						x[i] = float32(r.NormFloat64())
					}
				}
				buffers := [4][]float32{}
				for i := range buffers {
					buffers[i] = make([]float32, m.M*m.N)
				}
				Tree((m.K+m.Part-1)/m.Part, func(p, buffer int) {
					part := m
					part.Part, part.K = 0, min(m.Part, m.K-p*m.Part)
					isa.MatMul(part, buffers[buffer], a[p*m.Part*m.LDA:], b[p*m.Part*m.LDB:], make([]float32, m.Scratch()), m.Whole())
				}, func(into, from int) { isa.Add(buffers[into], buffers[into], buffers[from]) })
				c := guarded(t, m.M*m.N, true)
				isa.MatMul(m, c, a, b, guarded(t, m.Scratch(), true), m.Whole())
				checkSame(t, c, buffers[0])
				clear(c)
				for _, tile := range []Tile{{0, m.M / 2, 0, m.N}, {m.M / 2, m.M, 0, m.N / 3}, {m.M / 2, m.M, m.N / 3, m.N}} {
					isa.MatMul(m, c, a, b, guarded(t, m.Scratch(), true), tile)
				}
				checkSame(t, c, buffers[0])
			})
		}
	}
}
