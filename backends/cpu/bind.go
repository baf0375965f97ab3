package cpu

import (
	"github.com/compressaware/cram/backends/cpu/internal/kernels"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A bufID is the index of a buffer of a bound program.
type bufID int

// A buffer is memory that a run needs.
type buffer struct {
	dtype  array.DType
	bytes  int
	home   home
	offset int // in the arena or in the memory of a worker, in bytes
	// has the memory of that buffer, whose last use is the phase that writes this one; -1: has its
	// own
	shares bufID
}

// A phase is a loop over independent items.
type phase struct {
	step  *step
	items int
	cost  float64 // of one item, about the number of floats it touches or of multiply-adds over 16
	// local is true when item i of items reads and writes the i-th of as many equal pieces of each
	// buffer in reads and writes, and no other part of them. Local phases can be merged into a
	// stage.
	local  bool
	whole  []bufID // read in full
	reads  []bufID // read, piece by piece where local
	writes []bufID // written, piece by piece where local
	// inPlace are those of reads whose memory writes[0] may take if this is their last use: an item
	// reads of them only the elements that it writes, before it writes them.
	inPlace []bufID
	scratch int // floats of working memory
	run     func(f *frame, w, i0, i1 int) error
}

// A binding turns steps into phases for given sizes.
type binding struct {
	*lowered
	isa     kernels.InstructionSet
	threads int
	sizes   graph.Sizes
	dims    [][]int // by value
	bufOf   []bufID // by value
	buffers []buffer
}

// bind returns a lowered program bound to sizes.
func bind(l *lowered, isa kernels.InstructionSet, threads int, sizes graph.Sizes) (*bound, error) {
	b := &binding{lowered: l, isa: isa, threads: threads, sizes: sizes}
	for _, v := range l.values {
		dims, err := v.typ.Shape.Bind(sizes)
		if err != nil {
			return nil, err
		}
		b.dims = append(b.dims, dims)
		if v.alias != none {
			b.bufOf = append(b.bufOf, b.bufOf[v.alias])
			continue
		}
		n := array.Count(dims)
		if v.layout == blocked {
			n = imageOf(dims).floats()
		}
		b.bufOf = append(b.bufOf, b.add(buffer{dtype: v.typ.DType, bytes: v.typ.DType.Bytes(n), home: v.home}))
	}
	var phases []phase
	for _, s := range l.steps {
		ps, err := s.op.phases(b, s)
		if err != nil {
			return nil, err
		}
		for i := range ps {
			ps[i].step = s
		}
		phases = append(phases, ps...)
	}
	p := &bound{lowered: l, isa: isa, threads: threads, sizes: sizes, buffers: b.buffers, dims: b.dims, bufOf: b.bufOf}
	p.schedule(phases)
	p.layOut()
	return p, nil
}

// add adds a buffer.
func (b *binding) add(buf buffer) bufID {
	buf.shares = -1
	b.buffers = append(b.buffers, buf)
	return bufID(len(b.buffers) - 1)
}

// space adds working memory of n elements. It exists from the first phase that names it to the
// last.
func (b *binding) space(d array.DType, n int) bufID {
	return b.add(buffer{dtype: d, bytes: d.Bytes(n)})
}

// floats is space for n float32 values.
func (b *binding) floats(n int) bufID { return b.space(array.F32, n) }

// image returns the dimensions of a value of rank 2 or more as [n, c, pixels].
func (b *binding) image(v valueID) image { return imageOf(b.dims[v]) }

// buf returns the buffer of a value.
func (b *binding) buf(v valueID) bufID { return b.bufOf[v] }

// bufs returns the buffers of values.
func (b *binding) bufs(vs []valueID) []bufID {
	ids := make([]bufID, len(vs))
	for i, v := range vs {
		ids[i] = b.bufOf[v]
	}
	return ids
}

// batched reports whether work on n images is divided by images alone.
func (b *binding) batched(n int) bool { return b.threads == 1 || n >= 2*b.threads }

// varies reports whether the first axis of a value is a batch, whose items are the items of local
// phases.
func (b *binding) varies(v valueID) bool {
	t := b.values[v]
	return t.layout == blocked || len(t.typ.Shape) > 0 && !t.typ.Shape[0].Fixed()
}

// count returns the number of elements of a value in row-major layout.
func (b *binding) count(v valueID) int { return array.Count(b.dims[v]) }

// elements returns the number of elements of a value in its layout, padding included.
func (b *binding) elements(v valueID) int {
	if b.values[v].layout == blocked {
		return b.image(v).floats()
	}
	return b.count(v)
}
