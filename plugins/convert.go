package plugins

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// The protocol has the same numbers for element types, roles and encodings as packages array and
// graph; a test compares them. A message from the other side can contain any number.

func dimsMessage(in []int) []int64 {
	out := make([]int64, len(in))
	for i, d := range in {
		out[i] = int64(d)
	}
	return out
}

func dimsOf(in []int64) []int {
	out := make([]int, len(in))
	for i, d := range in {
		out[i] = int(d)
	}
	return out
}

func dtypeOf(d protocol.DType) (array.DType, error) {
	if t := array.DType(d); d >= 0 && d <= 255 && t.Valid() {
		return t, nil
	}
	return array.InvalidDType, fmt.Errorf("unknown element type %d", d)
}

func patternOf(p *protocol.Pattern) compress.Pattern {
	return compress.Pattern{N: int(p.GetN()), M: int(p.GetM()), Axis: int(p.GetAxis())}
}

func patternMessage(p compress.Pattern) *protocol.Pattern {
	if p == (compress.Pattern{}) {
		return nil
	}
	return &protocol.Pattern{N: int64(p.N), M: int64(p.M), Axis: int64(p.Axis)}
}

// tensorOf returns a tensor in the memory of a region. find is [memory.Regions.In] or
// [memory.Regions.Out].
func tensorOf(ctx context.Context, find func(context.Context, *protocol.Span) ([]byte, error), m *protocol.Tensor) (array.Tensor, error) {
	d, err := dtypeOf(m.GetDtype())
	if err != nil {
		return array.Tensor{}, err
	}
	data, err := find(ctx, m.GetData())
	if err != nil {
		return array.Tensor{}, err
	}
	t := array.Tensor{DType: d, Dims: dimsOf(m.GetDims()), Data: data}
	return t, t.Check()
}

// valueOf returns a value in the memory of a region. It is not checked.
func valueOf(ctx context.Context, regions *memory.Regions, m *protocol.Value) (array.Value, error) {
	if e := m.GetEncoding(); e < 0 || e > 255 {
		return array.Value{}, fmt.Errorf("unknown encoding %d", e)
	}
	if d := m.GetDtype(); d < 0 || d > 255 {
		return array.Value{}, fmt.Errorf("unknown element type %d", d)
	}
	values, err := regions.In(ctx, m.GetValues())
	if err != nil {
		return array.Value{}, err
	}
	index, err := regions.In(ctx, m.GetIndex())
	if err != nil {
		return array.Value{}, err
	}
	return array.Value{
		Encoding: array.Encoding(m.GetEncoding()), DType: array.DType(m.GetDtype()), Dims: dimsOf(m.GetDims()),
		Values: values, Index: index, N: int(m.GetN()), M: int(m.GetM()), Axis: int(m.GetAxis()),
		Quantization: quantizationOf(m.GetQuantization()),
	}, nil
}

func quantizationMessage(q *array.Quantization) *protocol.Quantization {
	if q == nil {
		return nil
	}
	return &protocol.Quantization{Axis: int64(q.Axis), Scale: q.Scale, Zero: q.Zero}
}

func quantizationOf(m *protocol.Quantization) *array.Quantization {
	if m == nil {
		return nil
	}
	return &array.Quantization{Axis: int(m.GetAxis()), Scale: m.GetScale(), Zero: m.GetZero()}
}

// checkInputMoments returns an error unless the input moments of a weight are missing or f32[I],
// with I the size of axis 1 of the weight.
func checkInputMoments(w compress.Weight) error {
	m := w.InputMoments
	if m.None() {
		return nil
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("input moments: %w", err)
	}
	if len(w.Data.Dims) < 2 || m.DType != array.F32 || !slices.Equal(m.Dims, w.Data.Dims[1:2]) {
		return fmt.Errorf("input moments of a weight %v: want f32 with one element for each index of axis 1, got %v%v",
			w.Data.Dims, m.DType, m.Dims)
	}
	return nil
}

// maxMissing is the number of missing ops in an error.
const maxMissing = 256

func unsupportedError(m *protocol.UnsupportedOps) error {
	missing := m.GetMissing()
	shown := make([]string, min(len(missing), maxMissing))
	for i := range shown {
		shown[i] = oneLine(missing[i])
	}
	if more := len(missing) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("%d more", more))
	}
	return &backends.UnsupportedError{Backend: oneLine(m.GetBackend()), Missing: shown}
}

func memoryError(m *protocol.MemoryError) error {
	return &backends.MemoryError{Backend: oneLine(m.GetBackend()), What: oneLine(m.GetWhat()), Want: m.GetWant(), Limit: m.GetLimit()}
}

func memoryErrorMessage(e *backends.MemoryError) *protocol.MemoryError {
	return &protocol.MemoryError{Backend: e.Backend, What: e.What, Want: e.Want, Limit: e.Limit}
}

func planMessage(p *backends.Plan) *protocol.Plan {
	if p == nil {
		return nil
	}
	m := &protocol.Plan{Device: p.Device, InstructionSet: p.InstructionSet, Threads: int64(p.Threads), Batch: int64(p.Batch)}
	for _, c := range p.Choices {
		choice := &protocol.Choice{Name: c.Name, Kernel: c.Kernel}
		for _, t := range c.Times {
			choice.Times = append(choice.Times, &protocol.KernelTime{Kernel: t.Kernel, Nanoseconds: t.Nanoseconds})
		}
		m.Choices = append(m.Choices, choice)
	}
	return m
}

// planOf returns a plan, nil for no message. Its texts are not changed, because a host sends them
// back to pin them: one that is not printable is an error.
func planOf(m *protocol.Plan) (*backends.Plan, error) {
	if m == nil {
		return nil, nil
	}
	err := cmp.Or(checkText("device of the plan", m.GetDevice()), checkText("instruction set of the plan", m.GetInstructionSet()))
	p := &backends.Plan{
		Device: m.GetDevice(), InstructionSet: m.GetInstructionSet(), Threads: int(m.GetThreads()), Batch: int(m.GetBatch()),
	}
	if err == nil && (p.Threads < 0 || p.Batch < 0) {
		err = fmt.Errorf("plan: want 0 or more threads and a batch size of 0 or more, got %d and %d", p.Threads, p.Batch)
	}
	for _, c := range m.GetChoices() {
		if err != nil {
			return nil, err
		}
		err = cmp.Or(checkText("choice of the plan", c.GetName()), checkText("kernel of the plan", c.GetKernel()))
		choice := backends.Choice{Name: c.GetName(), Kernel: c.GetKernel()}
		for _, t := range c.GetTimes() {
			err = cmp.Or(err, checkText("timed kernel of the plan", t.GetKernel()))
			choice.Times = append(choice.Times, backends.KernelTime{Kernel: t.GetKernel(), Nanoseconds: t.GetNanoseconds()})
		}
		p.Choices = append(p.Choices, choice)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}
