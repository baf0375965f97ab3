package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A row has the cases of one op and the bounds of its results and gradients.
type row struct {
	op                graph.Op
	forward, backward bound
	cases             []opCase
}

// An opCase builds one use of an op. Gradients are taken through the float results, with respect to
// the float operands.
type opCase struct {
	name  string
	in    []operand
	build func(b *graph.Builder, x []graph.Node) []graph.Node

	forwardOnly bool // no gradient is taken
	first       bool // gradients flow through the first result only
}

// table lists the rows of all ops. Ops without a row of their own, such as conv2d_dx, are reached
// through gradients.
func table() []row {
	return slices.Concat(elementwiseRows(), convRows(), poolRows(), shapeRows(), reduceRows(), normRows(), maskRows())
}

// forward returns the program of the case, and the operands it is fed.
func (c opCase) forward() (*graph.Program, []operand, error) {
	b := graph.NewBuilder()
	for i, y := range c.build(b, c.inputs(b)) {
		b.Output(fmt.Sprintf("y%d", i), y)
	}
	p, err := b.Program()
	return p, c.in, err
}

// backward returns the program of the gradients of Σ y·d, d being an operand that is added for
// every result, and the operands it is fed. The program is nil where nothing is differentiable.
func (c opCase) backward(op graph.Op) (*graph.Program, []operand, error) {
	def, _ := op.Def()
	if c.forwardOnly {
		return nil, nil, nil
	}
	b := graph.NewBuilder()
	x := c.inputs(b)
	in := slices.Clone(c.in)
	var loss graph.Node
	for i, y := range c.build(b, x) {
		t := b.Type(y)
		if !t.DType.Float() || !def.Differentiable() || c.first && i > 0 {
			continue
		}
		dims, err := t.Shape.Bind(c.sizes())
		if err != nil {
			return nil, nil, err
		}
		in = append(in, float(dims...))
		part := b.Sum(b.Mul(y, b.Input(fmt.Sprintf("d%d", i), array.F32, t.Shape)), false)
		if loss.None() {
			loss = part
		} else {
			loss = b.Add(loss, part)
		}
	}
	var wrt []graph.Node
	for i, o := range c.in {
		if o.dtype.Float() {
			wrt = append(wrt, x[i])
		}
	}
	if loss.None() || len(wrt) == 0 {
		return nil, nil, b.Err()
	}
	for i, g := range b.Grad(loss, wrt...) {
		b.Output(fmt.Sprintf("dx%d", i), g)
	}
	p, err := b.Program()
	return p, in, err
}

// sizes returns the value of the symbol N in this case.
func (c opCase) sizes() graph.Sizes {
	for _, o := range c.in {
		if o.batch {
			return graph.Sizes{"N": o.dims[0]}
		}
	}
	return graph.Sizes{}
}

func (c opCase) inputs(b *graph.Builder) []graph.Node {
	x := make([]graph.Node, len(c.in))
	for i, o := range c.in {
		x[i] = b.Input(fmt.Sprintf("x%d", i), o.dtype, o.shape())
	}
	return x
}

// A trial is a case with its programs.
type trial struct {
	opCase
	forward, backward     *graph.Program
	forwardIn, backwardIn []operand
}

func (c opCase) programs(t *testing.T, op graph.Op) trial {
	t.Helper()
	u := trial{opCase: c}
	var err, errBack error
	u.forward, u.forwardIn, err = c.forward()
	u.backward, u.backwardIn, errBack = c.backward(op)
	if err = errors.Join(err, errBack); err != nil {
		t.Fatalf("the suite's own case %s %s is wrong: %v", op, c.name, err)
	}
	return u
}

func (s *suite) testOps(t *testing.T) {
	rows := table()
	uses := make([][]trial, len(rows))
	reached := map[graph.Op]bool{graph.OpSlot: true} // by every other test
	for i, r := range rows {
		for _, c := range r.cases {
			u := c.programs(t, r.op)
			uses[i] = append(uses[i], u)
			mark(reached, u.forward)
			mark(reached, u.backward)
		}
	}
	for _, d := range graph.Ops() {
		if !reached[d.Op] {
			t.Errorf("no case reaches %s; add a row to the table", d.Op)
		}
	}
	for i, r := range rows {
		t.Run(string(r.op), func(t *testing.T) {
			for n, u := range uses[i] {
				if testing.Short() && n%3 != 0 {
					continue
				}
				t.Run(u.name, func(t *testing.T) { s.compare(t, u.forward, u.forwardIn, r.forward) })
				if u.backward != nil {
					t.Run(u.name+" backward", func(t *testing.T) { s.compare(t, u.backward, u.backwardIn, r.backward) })
				}
			}
		})
	}
}

func mark(reached map[graph.Op]bool, p *graph.Program) {
	if p == nil {
		return
	}
	for _, i := range p.Code {
		reached[i.Op] = true
	}
}

// compare runs p on the backend, twice, and on the reference, in every precision of the options.
func (s *suite) compare(t *testing.T, p *graph.Program, in []operand, e bound) {
	s.compareAs(t, p, in, e, array.F32)
	if s.options.Double {
		double, err := p.WithFloat(array.F64)
		if err != nil {
			t.Fatal(err)
		}
		s.compareAs(t, double, in, e, array.F64)
	}
}

func (s *suite) compareAs(t *testing.T, p *graph.Program, in []operand, e bound, d array.DType) {
	feed := make([]array.Tensor, len(in))
	for i, o := range in {
		feed[i] = o.tensor(t, i+1, d)
	}
	ref, err := open(t, s.reference).Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatalf("reference: %v", err)
	}
	want := run(t, ref, feed...)
	terms := make([]array.Tensor, len(want))
	if e.scale == ofTerms {
		abs := make([]array.Tensor, len(feed))
		for i := range feed {
			abs[i] = magnitudes(feed[i])
		}
		terms = run(t, ref, abs...)
	}
	exe := s.compile(t, open(t, s.backend), p, backends.Options{})
	got := run(t, exe, feed...)
	for i, o := range p.Outputs {
		if err := e.check(got[i], want[i], terms[i]); err != nil {
			t.Errorf("%v output %s: %v", d, o.Name, err)
		}
	}
	if t.Failed() {
		t.Logf("program:\n%v", p)
	}
	s.repeat(t, exe, feed, got)
}

// repeat runs exe again. It fails unless the results have the same bits, if the backend is
// deterministic.
func (s *suite) repeat(t *testing.T, exe backends.Executable, feed, first []array.Tensor) {
	t.Helper()
	if !s.backend.Info().Deterministic {
		return
	}
	for i, again := range run(t, exe, feed...) {
		if !sameBits(again, first[i]) {
			t.Errorf("output %d differs between two runs on the same inputs", i)
		}
	}
}
