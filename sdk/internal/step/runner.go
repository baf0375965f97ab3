package step

import (
	"context"
	"fmt"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A Runner runs training steps in one session. It lowers and compiles a variant when it is first
// drawn. All variants share the slots of the session.
type Runner struct {
	recipe  *Recipe
	session backends.Session
	steps   map[string][]compiled
	slots   map[string]graph.Slot // declared by the steps so far, by name
}

type compiled struct {
	segment
	exec backends.Executable
}

// NewRunner returns a Runner for a session with the values of all parameters and statistics.
func NewRunner(r *Recipe, s backends.Session) *Runner {
	return &Runner{recipe: r, session: s, steps: map[string][]compiled{}, slots: map[string]graph.Slot{}}
}

// State returns the names of the slots with optimizer state that the steps so far have declared, in
// no particular order.
func (r *Runner) State() []string {
	var names []string
	for name, s := range r.slots {
		if s.Kind == graph.OptimizerState {
			names = append(names, name)
		}
	}
	return names
}

// Restored records the optimizer state of a checkpoint. State then returns its names also before a
// step that declares them is drawn.
func (r *Runner) Restored(state map[string]array.Value) {
	for name, v := range state {
		t := graph.Type{DType: v.DType, Shape: graph.Of(v.Dims...)}
		r.slots[name] = graph.Slot{Name: name, Kind: graph.OptimizerState, Type: t}
	}
}

// Run runs one step and returns the loss at the weights before it. After an error other than
// backends.ErrLost, weights, statistics and optimizer state are unchanged.
func (r *Runner) Run(ctx context.Context, v Variant, f *Feed) (loss float64, err error) {
	step, err := r.compile(ctx, v)
	if err != nil {
		return 0, err
	}
	for _, s := range step {
		if s.host != nil {
			err = r.call(ctx, s.segment, f)
		} else {
			err = s.run(ctx, f)
		}
		if err != nil {
			return 0, err
		}
	}
	if f.loss.DType == array.F64 {
		return f.loss.F64()[0], nil
	}
	return float64(f.loss.F32()[0]), nil
}

// compile returns the segments of a variant.
func (r *Runner) compile(ctx context.Context, v Variant) ([]compiled, error) {
	if step, ok := r.steps[v.key()]; ok {
		return step, nil
	}
	segments, err := r.recipe.lower(v)
	if err != nil {
		return nil, err
	}
	step := make([]compiled, len(segments))
	for i, s := range segments {
		step[i] = compiled{segment: s}
		if s.program == nil {
			continue
		}
		if step[i].exec, err = r.session.Compile(ctx, s.program, backends.Options{}); err != nil {
			return nil, err
		}
		for _, slot := range s.program.Slots {
			r.slots[slot.Name] = slot
		}
	}
	r.steps[v.key()] = step
	return step, nil
}

// run runs a program.
func (c compiled) run(ctx context.Context, f *Feed) error {
	in := make([]array.Tensor, len(c.inputs))
	for i, p := range c.inputs {
		in[i] = *f.value(p)
	}
	out, err := c.exec.Run(ctx, in, nil)
	if err != nil {
		return err
	}
	for i, p := range c.outputs {
		*f.value(p) = out[i]
	}
	return nil
}

// call calls a compressor on the outputs of the last program, checks the result, and stores it for
// the next program.
func (r *Runner) call(ctx context.Context, s segment, f *Feed) error {
	weights := make([]compress.Weight, len(r.recipe.Params))
	for i, m := range r.recipe.metas {
		weights[i] = compress.Weight{Meta: m, Data: f.at[i]}
	}
	result, err := s.host.Compress(ctx, weights)
	if err != nil {
		return Naming(s.host, err)
	}
	if err := compress.Check(s.host, weights, result); err != nil {
		return err
	}
	f.values, f.masks = make([]array.Tensor, len(weights)), make([]array.Tensor, len(weights))
	for i, w := range weights {
		values, mask := result[i].Values, result[i].Mask
		if s.masks && !values.None() && mask.None() {
			return fmt.Errorf("compressor %v: %s: want a mask to reuse, got values alone; set Refresh to 1", s.host, w.Name)
		}
		if values.None() {
			values = w.Data
		}
		if mask.None() && w.Prunable() {
			if mask, err = ones(w.Dims); err != nil {
				return err
			}
		}
		f.values[i], f.masks[i] = values, mask
	}
	return nil
}

// Naming adds the name of the compressor to an error of its call, unless the error contains it.
func Naming(c compress.Compressor, err error) error {
	if strings.Contains(err.Error(), c.String()) {
		return err
	}
	return fmt.Errorf("compressor %v: %w", c, err)
}

// ones returns a mask of ones. The bits after the last element are 0.
func ones(dims []int) (array.Tensor, error) {
	t, err := array.New(array.Bit, dims...)
	if err != nil {
		return t, err
	}
	n := t.Len()
	for i := range n / 8 {
		t.Data[i] = 0xff
	}
	for i := n / 8 * 8; i < n; i++ {
		t.SetBit(i)
	}
	return t, nil
}
