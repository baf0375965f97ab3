// Package step builds and runs the steps of a training.
//
// A [Recipe] has the parts of a step: model, loss, fields of the examples, method, optimizer.
// Before each step the [Drawer] draws a [Variant]: the compressor of each point, and whether its
// masks are computed or reused. The [Runner] lowers a variant to segments when it is first drawn,
// compiles them, and runs them in its session:
//
//	program                 compressor call      program
//	gradient at θ        →  C on the host     →  gradient at C(θ + ρ·g), mask, mix, optimizer, updates
//
// A step is one program if all its compressors have a graph form. Only the last segment of a step
// updates slots other than scratch, so a step that fails changes no weight, statistic or optimizer
// state.
package step

import (
	"errors"
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// A Recipe holds the parts of a training step.
type Recipe struct {
	Model     nn.Model
	Loss      nn.Loss       // of the points that have no loss
	Inputs    []graph.Field // of an example, the main one first
	Targets   []graph.Field // of an example, the main one first
	Method    optim.Method
	Optimizer optim.Optimizer
	Params    []nn.Decl // parameters, in order of first use
	Stats     []nn.Decl // running statistics, in order of first use

	metas []compress.Meta // of Params
	train []int           // indices of the Params that are not frozen
	float array.DType     // dtype of the computation: F32, in some tests F64
}

// Complete sets Params and Stats to those of the model. Parameters for which freeze returns true
// are not trained; if freeze is nil, all are trained. It is an error if the model has a mistake, no
// parameter is trained, or a field has the name of an input that steps have in addition.
func (r *Recipe) Complete(freeze func(name string) bool) error {
	for _, f := range slices.Concat(r.Inputs, r.Targets) {
		if slices.Contains([]string{inputLR, inputStep, inputKey, clean}, f.Name) {
			return fmt.Errorf("want a field with another name than %q, which training steps use", f.Name)
		}
	}
	decls, _, err := nn.Declare(r.Model, r.Inputs...)
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	r.float = array.F32
	r.Params, r.Stats = Split(decls)
	for i, d := range r.Params {
		if freeze == nil || !freeze(d.Name) {
			r.train = append(r.train, i)
		}
	}
	if len(r.train) == 0 {
		return errors.New("want at least one parameter to train, got none: the model has no parameters, or all are frozen")
	}
	slots := make([]graph.Slot, len(r.Params))
	for i, d := range r.Params {
		slots[i] = d.Slot
	}
	r.metas = Metas(slots)
	return nil
}

// Frozen returns the names of the parameters that are not trained.
func (r *Recipe) Frozen() []string {
	var names []string
	for i, d := range r.Params {
		if !slices.Contains(r.train, i) {
			names = append(names, d.Name)
		}
	}
	return names
}

// Split separates declarations into parameters and running statistics.
func Split(decls []nn.Decl) (params, stats []nn.Decl) {
	for _, d := range decls {
		if d.Kind == graph.Stat {
			stats = append(stats, d)
		} else {
			params = append(params, d)
		}
	}
	return params, stats
}

// Metas returns the descriptions for compressors of the parameters among slots, in the order of
// slots. For a traced model that is the order of its forward pass.
func Metas(slots []graph.Slot) []compress.Meta {
	var out []compress.Meta
	first, last := -1, -1
	for _, s := range slots {
		if s.Kind != graph.Param {
			continue
		}
		if s.Role == graph.Kernel {
			if last = len(out); first < 0 {
				first = last
			}
		}
		dims, _ := s.Shape.Dims() // slots have constant shapes
		out = append(out, compress.Meta{Name: s.Name, Role: s.Role, Dims: dims})
	}
	if first >= 0 {
		out[first].First, out[last].Last = true, true
	}
	return out
}
