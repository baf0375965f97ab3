package backendtest

import (
	"fmt"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// An encoder stores a weight in one of the encodings of constants, after it has set to zero the
// elements that the encoding leaves out.
type encoder struct {
	name   string
	encode func(w array.Tensor) (array.Value, error)
}

func encoders() []encoder {
	var es []encoder
	for _, e := range []array.Encoding{array.Dense, array.Bitmask, array.Index16} {
		for _, zeros := range []float64{0, 0.5, 0.7, 0.9, 0.98, 1} {
			es = append(es, encoder{fmt.Sprintf("%v, %g zeros", e, zeros), func(w array.Tensor) (array.Value, error) {
				drop(w, func(k int) bool { return graph.Uniform([2]int64{77, 0}, 0, k) < zeros })
				return w.Encode(e)
			}})
		}
	}
	es = append(es, encoder{"blocks of 4 output channels", func(w array.Tensor) (array.Value, error) {
		row := w.Len() / w.Dims[0]
		drop(w, func(k int) bool { return graph.Uniform([2]int64{78, 0}, k/row/4, k%row) < 0.8 })
		return w.Encode(array.Bitmask)
	}})
	for _, p := range [][2]int{{2, 4}, {4, 8}} {
		es = append(es, encoder{fmt.Sprintf("%d:%d", p[0], p[1]), func(w array.Tensor) (array.Value, error) {
			if w.Dims[1]%p[1] != 0 {
				return array.DenseValue(w), nil // stays dense, as a compressor leaves it
			}
			inner := array.Count(w.Dims[2:])
			drop(w, func(k int) bool { return (k/inner%w.Dims[1]+k/inner/w.Dims[1])%p[1] >= p[0] })
			return w.EncodeNM(p[0], p[1], 1)
		}})
	}
	return es
}

// drop sets to zero the elements for which gone returns true.
func drop(w array.Tensor, gone func(k int) bool) {
	for k := range w.F32() {
		if gone(k) {
			w.F32()[k] = 0
		}
	}
}

// testConstants passes weights as constants, which a backend may pack, fold or keep sparse.
func (s *suite) testConstants(t *testing.T) {
	t.Run("convolutions", s.testConstantConvs)
	t.Run("network", s.testConstantNetwork)
}

// testConstantConvs runs the shapes of conv2d, each with a sparse constant weight.
func (s *suite) testConstantConvs(t *testing.T) {
	for n, c := range convs() {
		if testing.Short() && n%3 != 0 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			b := graph.NewBuilder()
			in := c.operands()
			x := b.Input("x", array.F32, in[0].shape())
			w := b.Slot(graph.Slot{Name: "w", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: in[1].shape()}})
			b.Output("y", b.Relu(b.Conv2D(x, w, c.ConvAttr)))
			p := mustProgram(t, b)
			weight, feed := in[1].tensor(t, 2, array.F32), in[0].tensor(t, 1, array.F32)
			drop(weight, func(k int) bool { return graph.Uniform([2]int64{79, 0}, 0, k) < 0.85 })
			v, err := weight.Encode(array.Bitmask)
			if err != nil {
				t.Fatal(err)
			}
			exe := s.compile(t, open(t, s.backend), p, backends.Options{Const: map[string]array.Value{"w": v}})
			got := run(t, exe, feed)
			refer := func(w, x array.Tensor) array.Tensor {
				ref, err := open(t, s.reference).Compile(t.Context(), p, backends.Options{Const: map[string]array.Value{"w": array.DenseValue(w)}})
				if err != nil {
					t.Fatalf("reference: %v", err)
				}
				return run(t, ref, x)[0]
			}
			if err := products.check(got[0], refer(weight, feed), refer(magnitudes(weight), magnitudes(feed))); err != nil {
				t.Errorf("under the plan %v: %v", exe.Plan(), err)
			}
		})
	}
}

// testConstantNetwork compiles the inference network with constants in every encoding.
func (s *suite) testConstantNetwork(t *testing.T) {
	n := convNet(t, false)
	for _, e := range encoders() {
		t.Run(e.name, func(t *testing.T) {
			session := open(t, s.reference)
			consts := map[string]array.Value{}
			for i, slot := range n.program.Slots {
				w := n.slots[slot.Name].tensor(t, 100+i, array.F32)
				v := array.DenseValue(w)
				if len(w.Dims) > 1 {
					var err error
					if v, err = e.encode(w); err != nil {
						t.Fatalf("encode %s: %v", slot.Name, err)
					}
				}
				set(t, session, slot.Name, w)
				consts[slot.Name] = v
			}
			ref, err := session.Compile(t.Context(), n.program, backends.Options{})
			if err != nil {
				t.Fatalf("reference: %v", err)
			}
			mine := open(t, s.backend)
			exe := s.compile(t, mine, n.program, backends.Options{Const: consts})
			pinned := s.compile(t, mine, n.program, backends.Options{Const: consts, Pin: exe.Plan()})
			for step, batch := range []int{1, 5, 2} {
				feed := n.feed(t, step, batch)
				got, want := run(t, exe, feed...), run(t, ref, feed...)
				if err := trajectory.check(got[0], want[0], array.Tensor{}); err != nil {
					t.Errorf("batch of %d: %v", batch, err)
				}
				if again := run(t, pinned, feed...); s.backend.Info().Deterministic && !sameBits(again[0], got[0]) {
					t.Errorf("batch of %d: results under the pinned plan %v differ", batch, exe.Plan())
				}
			}
			if v, err := mine.Get(t.Context(), "conv1"); err == nil {
				t.Errorf("constant conv1 became a slot of the session: %v%v", v.DType, v.Dims)
			}
		})
	}
}
