package cpu

// toBlocked reorders rows into blocks of 16 channels.
type toBlocked struct{}

func (toBlocked) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.out[0])
	x, y := b.buf(s.in[0]), b.buf(s.out[0])
	return b.perImage(m, phase{cost: 2 * float64(m.floats()/m.n), reads: []bufID{x}, writes: []bufID{y}, run: func(f *frame, w, i0, i1 int) error {
		f.isa.ToBlocked(f.piece(w, y, i0, i1), f.piece(w, x, i0, i1), m.c, m.pixels, 0, i1-i0)
		return nil
	}}), nil
}

// toPlain reorders blocks of 16 channels into rows.
type toPlain struct{}

func (toPlain) phases(b *binding, s *step) ([]phase, error) {
	m := b.image(s.out[0])
	x, y := b.buf(s.in[0]), b.buf(s.out[0])
	return b.perImage(m, phase{cost: 2 * float64(m.floats()/m.n), reads: []bufID{x}, writes: []bufID{y}, run: func(f *frame, w, i0, i1 int) error {
		f.isa.FromBlocked(f.piece(w, y, i0, i1), f.piece(w, x, i0, i1), m.c, m.pixels, 0, i1-i0)
		return nil
	}}), nil
}

// perImage makes ph a local phase over the images of m.
func (b *binding) perImage(m image, ph phase) []phase {
	ph.items, ph.local = m.n, true
	return []phase{ph}
}
