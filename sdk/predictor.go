package sdk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/metric"
)

// A Predictor runs a network at one level. It is safe for concurrent use, and its results do not
// depend on other calls. Close it when done.
type Predictor struct {
	info           Info
	level          string
	programs       programs // of inference alone, if a file was read for it
	device         device
	session        backends.Session
	exec           backends.Executable
	allowNonFinite bool
}

// PredictorOptions change how a Predictor is made. The zero value is right for most uses.
type PredictorOptions struct {
	// Level is the name of the level, for example "topk:0.9". It may be empty if there is only one.
	Level string
	// Backend runs the network and remains the caller's to close. Nil: a CPU backend on all cores,
	// which the Predictor closes.
	Backend backends.Backend
	// Pin fixes the kernels to those that [Predictor.Plan] of an earlier Predictor reported. Nil:
	// the backend chooses.
	Pin *backends.Plan
	// MemoryLimit is the number of bytes that weights, intermediate results and outputs may take. A
	// network or a batch that needs more is an error, a [*backends.MemoryError]. 0: no limit.
	MemoryLimit int64
	// AllowNonFinite accepts NaN and infinities as inputs. False: they are errors that name the
	// element.
	AllowNonFinite bool
}

// Predictor prepares one level of the network for inference.
func (n *Network) Predictor(ctx context.Context, o PredictorOptions) (*Predictor, error) {
	p, err := n.predictor(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predictor: %w", err)
	}
	return p, nil
}

func (n *Network) predictor(ctx context.Context, o PredictorOptions) (*Predictor, error) {
	l, err := n.level(o.Level)
	if err != nil {
		return nil, err
	}
	own, err := n.programs.replaced(l.programs)
	if err != nil {
		return nil, fmt.Errorf("level %s: %w", l.name, err)
	}
	p := &Predictor{info: n.info, level: l.name, programs: own, allowNonFinite: o.AllowNonFinite}
	if p.device, err = openDevice(o.Backend); err != nil {
		return nil, err
	}
	if p.session, err = p.device.NewSession(ctx); err == nil {
		options := backends.Options{Const: l.tensors, Pin: o.Pin, MemoryLimit: o.MemoryLimit}
		p.exec, err = p.session.Compile(ctx, own.infer, options)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("level %s: %w", l.name, err), p.Close())
	}
	return p, nil
}

// Info returns the description of the network: inputs, outputs, class names, provenance. The result
// must not be changed.
func (p *Predictor) Info() Info { return p.info }

// Level returns the name of the level that the Predictor runs.
func (p *Predictor) Level() string { return p.level }

// Backend returns what runs the network: backend, instruction set, threads.
func (p *Predictor) Backend() backends.Info { return p.device.Info() }

// Plan returns the kernels that the backend chose.
func (p *Predictor) Plan() *backends.Plan { return p.exec.Plan() }

// Predict returns the main output of the network, for a classifier the logits [n classes], for a
// batch x of n ≥ 1 examples: a float32 tensor [n, shape of one example] of raw values (images: CHW
// in [0, 1]; normalisation is part of the network). One example without the batch axis is a batch
// of one. x is only read.
//
// It is an error if the network takes another number of inputs than one, if x has the wrong type or
// shape, or if it holds a NaN or an infinity (see [PredictorOptions]).
func (p *Predictor) Predict(ctx context.Context, x *tensor.Dense) (*tensor.Dense, error) {
	dims, values, err := gorgonia.From(x)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	if len(dims) == len(p.info.Input().Shape)-1 {
		dims = append([]int{1}, dims...)
	}
	y, err := p.predict(ctx, values, dims)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	out, err := gorgonia.To(y.Dims, y.F32())
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	return out, nil
}

// PredictFloats is [Predictor.Predict] on plain slices: x holds n ≥ 1 examples one after another,
// and the result holds their outputs likewise. x is only read.
func (p *Predictor) PredictFloats(ctx context.Context, x []float32) ([]float32, error) {
	y, err := p.predictFloats(ctx, x)
	if err != nil {
		return nil, fmt.Errorf("sdk: PredictFloats: %w", err)
	}
	return y.F32(), nil
}

func (p *Predictor) predictFloats(ctx context.Context, x []float32) (array.Tensor, error) {
	example := p.info.Input().Example()
	if example == nil {
		return array.Tensor{}, fmt.Errorf("the size of an example of the input %s %v is not constant; use PredictNamed", p.info.Input().Name, p.info.Input().Shape)
	}
	size := array.Count(example)
	if len(x) == 0 || len(x)%size != 0 {
		return array.Tensor{}, fmt.Errorf("want n times %d values for examples of shape %v, got %d", size, example, len(x))
	}
	return p.predict(ctx, x, append([]int{len(x) / size}, example...))
}

// predict runs a network of one float32 input.
func (p *Predictor) predict(ctx context.Context, values []float32, dims []int) (array.Tensor, error) {
	x, err := array.From(values, dims...)
	if err != nil {
		return array.Tensor{}, err
	}
	out, err := p.run(ctx, []array.Tensor{x})
	if err != nil {
		return array.Tensor{}, err
	}
	if out[0].DType != array.F32 {
		return array.Tensor{}, fmt.Errorf("the output is %v%v, not f32; use PredictNamed", out[0].DType, out[0].Dims)
	}
	return out[0], nil
}

// PredictNamed returns all outputs of the network by name, for inputs by name, each a tensor
// [n, shape of the input for one example]. The inputs are only read.
func (p *Predictor) PredictNamed(ctx context.Context, inputs map[string]array.Tensor) (map[string]array.Tensor, error) {
	in := make([]array.Tensor, len(p.info.Inputs))
	for i, port := range p.info.Inputs {
		t, ok := inputs[port.Name]
		if !ok || len(inputs) != len(in) {
			return nil, fmt.Errorf("sdk: PredictNamed: want the inputs %s, got %q", describeFields(p.programs.fields()), slices.Sorted(maps.Keys(inputs)))
		}
		in[i] = t
	}
	out, err := p.run(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("sdk: PredictNamed: %w", err)
	}
	outputs := make(map[string]array.Tensor, len(out))
	for i, port := range p.info.Outputs {
		outputs[port.Name] = out[i]
	}
	return outputs, nil
}

// run checks the inputs and runs the network.
func (p *Predictor) run(ctx context.Context, in []array.Tensor) ([]array.Tensor, error) {
	if len(in) != len(p.info.Inputs) {
		return nil, fmt.Errorf("want the inputs %s, got one; use PredictNamed", describeFields(p.programs.fields()))
	}
	if _, err := p.programs.infer.Bind(in); err != nil {
		return nil, err
	}
	for i, t := range in {
		if err := p.checkFinite(p.info.Inputs[i].Name, t); err != nil {
			return nil, err
		}
	}
	return p.exec.Run(ctx, in, nil)
}

func (p *Predictor) checkFinite(name string, t array.Tensor) error {
	if p.allowNonFinite {
		return nil
	}
	size := t.Len() / t.Dims[0]
	for i, v := range t.F32() {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("input %s: element %d of example %d is %v; clean the input or set PredictorOptions.AllowNonFinite", name, i%size, i/size, v)
		}
	}
	return nil
}

// A Class is one class with its probability.
type Class struct {
	Index       int     // along the last axis of the output
	Name        string  // "" if the network has no class names
	Probability float64 // the softmax of the logits: all classes together have 1
}

// Classify returns the k most probable classes of each of the n ≥ 1 examples in x, which follow one
// another, most probable first; k = 0 returns all. Of equal probabilities the lower index is first.
//
// It is an error if the output of the network is not one row of logits [C] for each example, or
// holds a NaN.
func (p *Predictor) Classify(ctx context.Context, x []float32, k int) ([][]Class, error) {
	y, err := p.predictFloats(ctx, x)
	if err != nil {
		return nil, fmt.Errorf("sdk: Classify: %w", err)
	}
	if len(y.Dims) != 2 {
		return nil, fmt.Errorf("sdk: Classify: want logits [n C], the network returns %v", y.Dims)
	}
	if k < 0 {
		return nil, fmt.Errorf("sdk: Classify: want k of 0 or more, got %d", k)
	}
	rows := make([][]Class, y.Dims[0])
	for i := range rows {
		if rows[i], err = classify(y.F32()[i*y.Dims[1]:][:y.Dims[1]], p.info.Output().Classes, k); err != nil {
			return nil, fmt.Errorf("sdk: Classify: example %d: %w", i, err)
		}
	}
	return rows, nil
}

// classify returns the softmax of the logits, most probable class first, and the first k of it.
func classify(logits []float32, names []string, k int) ([]Class, error) {
	top := float64(slices.Max(logits)) // NaN if one is
	if math.IsNaN(top) || math.IsInf(top, 0) {
		return nil, fmt.Errorf("want finite logits, got %v", top)
	}
	classes := make([]Class, len(logits))
	sum := 0.0
	for i, v := range logits {
		classes[i] = Class{Index: i, Probability: math.Exp(float64(v) - top)}
		if i < len(names) {
			classes[i].Name = names[i]
		}
		sum += classes[i].Probability
	}
	for i := range classes {
		classes[i].Probability /= sum
	}
	slices.SortStableFunc(classes, func(a, b Class) int {
		switch {
		case a.Probability > b.Probability:
			return -1
		case a.Probability < b.Probability:
			return 1
		}
		return 0
	})
	if k > 0 {
		classes = classes[:min(k, len(classes))]
	}
	return classes, nil
}

// Evaluate measures the network on a data set of raw examples, in batches of the given size.
// Without metrics it takes those that suit the main target: accuracy and cross-entropy of a class
// index, otherwise the mean squared error.
func (p *Predictor) Evaluate(ctx context.Context, set data.Set, batch int, metrics ...metric.Metric) (Score, error) {
	s, err := p.evaluate(ctx, set, batch, metrics)
	if err != nil {
		return Score{}, fmt.Errorf("sdk: Evaluate: %w", err)
	}
	return s, nil
}

func (p *Predictor) evaluate(ctx context.Context, set data.Set, batch int, metrics []metric.Metric) (Score, error) {
	inputs, err := data.Loader{Set: set, Batch: batch}.Inputs()
	if err != nil {
		return Score{}, err
	}
	if err := checkInputs(p.programs.fields(), inputs); err != nil {
		return Score{}, err
	}
	if len(metrics) == 0 {
		metrics = metricsFor(set.Targets())
	}
	if err := checkMetrics(metrics); err != nil {
		return Score{}, err
	}
	return evaluate(ctx, p.exec, set, batch, metrics)
}

// Close frees what the Predictor holds. Calls after it return backends.ErrClosed.
func (p *Predictor) Close() error {
	var errs []error
	if p.exec != nil {
		errs = append(errs, p.exec.Close())
	}
	if p.session != nil {
		errs = append(errs, p.session.Close())
	}
	return errors.Join(append(errs, p.device.close())...)
}
