package cpu

import "github.com/compressaware/cram/backends/cpu/internal/kernels"

// batchParts is the number of equal parts of a batch whose sums are added as a tree.
const batchParts = 8

// A batch is n items along the first axis of a value, cut into parts of size consecutive items. A
// sum over the batch is the tree ((p0+p1)+(p2+p3))+((p4+p5)+(p6+p7)) of the sums p of the parts,
// which are float32; the order inside a part depends on the part alone. The last part may be
// shorter, and a small batch has fewer parts.
type batch struct{ n, size, parts int }

// batchOf cuts n items into parts.
func (b *binding) batchOf(n int) batch {
	size := (n + b.parts - 1) / b.parts
	return batch{n, size, (n + size - 1) / size}
}

// part returns the items i0 ≤ i < i1 of part p.
func (t batch) part(p int) (i0, i1 int) { return p * t.size, min((p+1)*t.size, t.n) }

// times returns the batch whose items are each k items.
func (t batch) times(k int) batch { return batch{t.n * k, t.size * k, t.parts} }

// fold calls add for each inner node of the tree, from the leaves to the root: part into receives
// part from. In the end part 0 has the sum.
func (t batch) fold(add func(into, from int)) {
	for step := 1; step < t.parts; step *= 2 {
		for p := 0; p+step < t.parts; p += 2 * step {
			add(p, p+step)
		}
	}
}

// sum adds up the columns j0 ≤ j < j1 of the rows of x[parts, columns]. The sum is in row 0.
func (t batch) sum(isa kernels.InstructionSet, x []float32, columns, j0, j1 int) {
	t.fold(func(into, from int) {
		to := x[into*columns+j0 : into*columns+j1]
		isa.Add(to, to, x[from*columns+j0:])
	})
}

// depth returns how many buffers walk needs.
func (t batch) depth() int {
	d := 1
	for n := 1; n < t.parts; n *= 2 {
		d++
	}
	return d
}

// walk computes the tree with depth buffers instead of one for each part: leaf puts the sum of a
// part in a buffer, add adds one buffer to another. Buffer 0 has the result. The additions are
// those of fold.
func (t batch) walk(leaf func(part, buffer int), add func(into, from int)) {
	kernels.Tree(t.parts, leaf, add)
}
