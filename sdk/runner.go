package sdk

import (
	"context"
	"fmt"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A runner runs training steps in one session. Variants are lowered and compiled when first drawn and share the session's slots.
type runner struct {
	recipe  *recipe
	session backends.Session
	steps   map[string][]compiled
	slots   map[string]graph.Slot // every slot a step so far declared
}

type compiled struct {
	segment
	exec backends.Executable
}

func newRunner(r *recipe, s backends.Session) *runner {
	return &runner{recipe: r, session: s, steps: map[string][]compiled{}, slots: map[string]graph.Slot{}}
}

// compile returns the step of a variant.
func (r *runner) compile(ctx context.Context, v variant) ([]compiled, error) {
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
			return nil, fmt.Errorf("sdk: training step: %w", err)
		}
		for _, slot := range s.program.Slots {
			r.slots[slot.Name] = slot
		}
	}
	r.steps[v.key()] = step
	return step, nil
}

// run does one step and returns the loss at the weights before it. After an error that is not backends.ErrLost the
// weights, statistics and moments are as they were.
func (r *runner) run(ctx context.Context, v variant, feed map[string]array.Tensor) (loss float64, err error) {
	step, err := r.compile(ctx, v)
	if err != nil {
		return 0, err
	}
	var out map[string]array.Tensor
	for _, s := range step {
		if s.host != nil {
			if feed, err = r.call(ctx, s.segment, feed, out); err != nil {
				return 0, err
			}
			continue
		}
		in := make([]array.Tensor, len(s.program.Inputs))
		for i, p := range s.program.Inputs {
			in[i] = feed[p.Name]
		}
		results, err := s.exec.Run(ctx, in, nil)
		if err != nil {
			return 0, fmt.Errorf("sdk: training step: %w", err)
		}
		out = map[string]array.Tensor{}
		for i, p := range s.program.Outputs {
			out[p.Name] = results[i]
		}
		if l, ok := out[outputLoss]; ok {
			loss = scalar(l)
		}
	}
	return loss, nil
}

// call hands the weights that the last program put out to a compressor and returns feed with its checked answer added.
func (r *runner) call(ctx context.Context, s segment, feed, out map[string]array.Tensor) (map[string]array.Tensor, error) {
	weights := make([]compress.Weight, len(r.recipe.params))
	for i, d := range r.recipe.params {
		weights[i] = compress.Weight{Meta: r.recipe.metas[i], Data: out["at/"+d.Name]}
	}
	answer, err := s.host.Compress(ctx, weights)
	if err != nil {
		return nil, naming(s.host, err)
	}
	if err := compress.Check(s.host, weights, answer); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	next := make(map[string]array.Tensor, len(feed)+2*len(weights))
	for _, name := range []string{inputX, inputY, inputLR, inputStep, inputKey} {
		next[name] = feed[name]
	}
	for i, w := range weights {
		values, keep := answer[i].Values, answer[i].Mask
		if s.masks && !values.None() && keep.None() {
			return nil, fmt.Errorf("sdk: compressor %v changes %s without a mask, so there is nothing to reuse; set Refresh to 1", s.host, w.Name)
		}
		if values.None() {
			values = w.Data
		}
		if keep.None() && w.Prunable() {
			if keep, err = ones(w.Dims); err != nil {
				return nil, err
			}
		}
		next["value/"+w.Name], next["keep/"+w.Name] = values, keep
	}
	return next, nil
}

// ones returns a mask that keeps everything; the bits behind the last element are zero.
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

// scalar reads a float tensor of one element.
func scalar(t array.Tensor) float64 {
	if t.DType == array.F64 {
		return t.F64()[0]
	}
	return float64(t.F32()[0])
}

// restored makes slots that a checkpoint brought back known, so that the next checkpoint holds them even when no step that
// declares them has been drawn since.
func (r *runner) restored(moments map[string]array.Value) {
	for name, v := range moments {
		r.slots[name] = graph.Slot{Name: name, Kind: graph.OptimizerState, Type: graph.Type{DType: v.DType, Shape: graph.Of(v.Dims...)}}
	}
}
