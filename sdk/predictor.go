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

// A Predictor is one level of a network, compiled by a backend. It is safe for concurrent use, and
// the result of a call does not depend on other calls. The caller closes it.
type Predictor struct {
	info           Info
	level          string
	programs       programs // only infer, if LoadSparse has read the file
	device         device
	session        backends.Session
	exec           backends.Executable
	allowNonFinite bool
}

// PredictorOptions are the options of a Predictor. The zero value suits a network with one level.
type PredictorOptions struct {
	// Level is the name of the level, for example "topk:0.9". "": the only level.
	Level string
	// Backend runs the network. The Predictor does not close it. Nil: a CPU backend on all cores,
	// which the Predictor closes.
	Backend backends.Backend
	// Pin is the plan of an earlier Predictor ([Predictor.Plan]), whose kernels are used. Nil: the
	// backend chooses the kernels.
	Pin *backends.Plan
	// MemoryLimit is the number of bytes that weights, intermediate values and outputs of one call
	// may take. If a network or a batch needs more, the error is a [*backends.MemoryError]. 0: no
	// limit.
	MemoryLimit int64
	// AllowNonFinite permits NaN and infinities in inputs. False: they are an error that names the
	// element.
	AllowNonFinite bool
}

// Predictor compiles one level of the network. An unknown level is a [*checkpoint.LevelError].
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

// Info returns the description of the network. The caller must not change the result.
func (p *Predictor) Info() Info { return p.info }

// Level returns the name of the level that the Predictor runs.
func (p *Predictor) Level() string { return p.level }

// Backend returns the description of the backend: name, instruction set, threads.
func (p *Predictor) Backend() backends.Info { return p.device.Info() }

// Plan returns the kernels that the backend chose.
func (p *Predictor) Plan() *backends.Plan { return p.exec.Plan() }

// Predict returns the main output of the network for a batch x of n ≥ 1 examples. The output of a
// classifier is its logits [n C].
//
// x is a Float32 tensor [n, dimensions of one example] of raw values; for images that is [n C H W]
// with values from 0 to 1. Normalization is part of the network. A tensor without the axis n is a
// batch of one example. Predict does not change x.
//
// It is an error if the network has several inputs, if x has another type or shape, or if x
// contains NaN or an infinity and [PredictorOptions].AllowNonFinite is false.
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

// PredictFloats is [Predictor.Predict] for slices: x contains n ≥ 1 examples one after another,
// row-major, and the result their main outputs in the same way. The shape of an example is
// Info().Input().Example(); it is an error if that is not constant.
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
		return array.Tensor{}, fmt.Errorf("want an input of constant size, got %s %v; use PredictNamed",
			p.info.Input().Name, p.info.Input().Shape)
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
		return array.Tensor{}, fmt.Errorf("want an output f32, got %v%v; use PredictNamed", out[0].DType, out[0].Dims)
	}
	return out[0], nil
}

// PredictNamed returns all outputs of the network by name, each [n, dimensions for one example].
// The inputs are tensors by name, each [n, dimensions of one example], for the ports of
// Info().Inputs. PredictNamed does not change them.
//
// It is an error if an input is missing or unknown, has another type or shape, or contains NaN or
// an infinity and [PredictorOptions].AllowNonFinite is false.
func (p *Predictor) PredictNamed(ctx context.Context, inputs map[string]array.Tensor) (map[string]array.Tensor, error) {
	in := make([]array.Tensor, len(p.info.Inputs))
	for i, port := range p.info.Inputs {
		t, ok := inputs[port.Name]
		if !ok || len(inputs) != len(in) {
			return nil, fmt.Errorf("sdk: PredictNamed: want the inputs %s, got %q",
				describeFields(p.programs.fields()), slices.Sorted(maps.Keys(inputs)))
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

// checkFinite returns an error if t contains NaN or an infinity, unless they are allowed.
func (p *Predictor) checkFinite(name string, t array.Tensor) error {
	if p.allowNonFinite {
		return nil
	}
	size := t.Len() / t.Dims[0]
	for i, v := range t.F32() {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("input %s: element %d of example %d is %v; clean the input or set PredictorOptions.AllowNonFinite",
				name, i%size, i/size, v)
		}
	}
	return nil
}

// A Class is a class with its probability.
type Class struct {
	// Index is the number of the class, from 0.
	Index int `json:"index"`
	// Name is the name of the class; "" if the network has no class names.
	Name string `json:"name,omitempty"`
	// Probability is the softmax of the logits, from 0 to 1. Its sum over all classes is 1.
	Probability float64 `json:"probability"`
}

// Classify returns the k most probable classes of each of the n ≥ 1 examples in x, the most
// probable first. Of equal probabilities the lower index is first. If k is 0 or greater than the
// number of classes, it returns all classes. x contains the examples as for
// [Predictor.PredictFloats].
//
// It is an error if the main output of the network is not logits [n C], or if a logit is NaN or +∞.
func (p *Predictor) Classify(ctx context.Context, x []float32, k int) ([][]Class, error) {
	y, err := p.predictFloats(ctx, x)
	if err != nil {
		return nil, fmt.Errorf("sdk: Classify: %w", err)
	}
	if len(y.Dims) != 2 || y.Dims[1] < 2 {
		return nil, fmt.Errorf("sdk: Classify: want logits [n C] of at least two classes, got an output %v; use PredictFloats", y.Dims)
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

// Evaluate returns the metrics of the network on a data set of raw examples. Batch is the number of
// examples in a batch, at least 1. Without metrics it computes accuracy and cross-entropy if the
// main target is a class index, otherwise the mean squared error.
//
// It is an error if the set has other inputs than the network, or no targets and no metrics are
// given.
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
		if metrics, err = metricsFor(set.Targets()); err != nil {
			return Score{}, err
		}
	}
	if err := checkMetrics(metrics); err != nil {
		return Score{}, err
	}
	return evaluate(ctx, p.exec, set, batch, metrics)
}

// Close frees the memory of the Predictor. Later calls return backends.ErrClosed (wrapped).
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
