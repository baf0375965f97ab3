package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A node is a NodeProto.
type node struct {
	op      string
	in, out []string
	attrs   []attr
}

type attr struct {
	name  string
	value any // int64, float32 or []int64
}

// An exporter translates a program to nodes and initializers. In ONNX a value has a name.
type exporter struct {
	p            *graph.Program
	tensors      map[string]array.Value
	names        map[graph.ID]string
	constant     map[graph.ID]initializer // values that do not depend on inputs
	taken        map[string]bool          // names
	nodes        []node
	initializers []initializer
}

// export translates the instructions that the outputs depend on.
func export(m Model) (*exporter, error) {
	p := m.Program
	if p == nil || len(p.Updates) > 0 || len(p.Outputs) == 0 {
		return nil, errors.New("want a program that only infers, with outputs and without updates")
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	e := &exporter{p: p, tensors: m.Tensors, names: map[graph.ID]string{}, constant: map[graph.ID]initializer{}, taken: map[string]bool{}}
	for _, out := range p.Outputs {
		e.taken[out.Name] = true
	}
	live := needed(p)
	for _, i := range p.Code {
		if i.Op != graph.OpInput && !slices.ContainsFunc(i.Out, func(id graph.ID) bool { return live[id] }) {
			continue
		}
		row, ok := rows[i.Op]
		if !ok {
			return nil, fmt.Errorf("operation %s at %%%d cannot be exported: export a program without it, or serve the network with cram",
				i.Op, i.Out[0])
		}
		for k, id := range i.Out {
			if k > 0 && live[id] {
				return nil, fmt.Errorf("operation %s at %%%d: its result %d is used, and only the first one can be exported", i.Op, i.Out[0], k)
			}
		}
		if err := row(e, i); err != nil {
			return nil, fmt.Errorf("operation %s at %%%d: %w", i.Op, i.Out[0], err)
		}
	}
	for _, out := range p.Outputs {
		e.nodes = append(e.nodes, node{op: "Identity", in: []string{e.use(out.ID)}, out: []string{out.Name}})
	}
	return e, nil
}

// needed reports for each value whether an output depends on it.
func needed(p *graph.Program) []bool {
	live := make([]bool, len(p.Types))
	for _, out := range p.Outputs {
		live[out.ID] = true
	}
	for _, i := range slices.Backward(p.Code) {
		if slices.ContainsFunc(i.Out, func(id graph.ID) bool { return live[id] }) {
			for _, id := range i.In {
				live[id] = true
			}
		}
	}
	return live
}

// fresh returns want, or want with a number if something else has that name.
func (e *exporter) fresh(want string) string {
	name := want
	for k := 1; e.taken[name]; k++ {
		name = fmt.Sprintf("%s_%d", want, k)
	}
	e.taken[name] = true
	return name
}

// use returns the name of a value. The first use of a constant makes it an initializer.
func (e *exporter) use(id graph.ID) string {
	if name, ok := e.names[id]; ok {
		return name
	}
	c := e.constant[id]
	e.names[id] = e.add(c)
	return e.names[id]
}

// add makes a constant an initializer and returns its name.
func (e *exporter) add(c initializer) string {
	c.name = e.fresh(c.name)
	e.initializers = append(e.initializers, c)
	return c.name
}

// emit appends a node with the operands in, whose result is the first result of i.
func (e *exporter) emit(i graph.Instr, op string, in []string, attrs ...attr) {
	e.names[i.Out[0]] = e.node(fmt.Sprintf("%s_%d", i.Op, i.Out[0]), op, in, attrs...)
}

// node appends a node and returns the name of its result.
func (e *exporter) node(name, op string, in []string, attrs ...attr) string {
	name = e.fresh(name)
	e.nodes = append(e.nodes, node{op, in, []string{name}, attrs})
	return name
}

func (e *exporter) operands(i graph.Instr) []string {
	names := make([]string, len(i.In))
	for k, id := range i.In {
		names[k] = e.use(id)
	}
	return names
}

// ints makes a constant vector of int64, at least one.
func (e *exporter) ints(values ...int64) string {
	t, err := array.From(values)
	if err != nil { // cannot be: no caller passes an empty vector
		return ""
	}
	return e.add(initializer{"ints", t.Dims, array.DenseValue(t)})
}

// number makes a constant scalar of type d.
func (e *exporter) number(d array.DType, x float64) (string, error) {
	t, err := filled(d, x)
	return e.add(initializer{"number", nil, array.DenseValue(t)}), err
}

// filled returns a tensor whose elements are all x.
func filled(d array.DType, x float64, dims ...int) (array.Tensor, error) {
	t, err := array.New(d, dims...)
	switch d {
	case array.F32:
		for k := range t.F32() {
			t.F32()[k] = float32(x)
		}
	case array.F64:
		for k := range t.F64() {
			t.F64()[k] = x
		}
	case array.I32:
		for k := range t.I32() {
			t.I32()[k] = int32(x)
		}
	case array.I64:
		for k := range t.I64() {
			t.I64()[k] = int64(x)
		}
	default:
		err = fmt.Errorf("constants of type %v are not supported", d)
	}
	return t, err
}
