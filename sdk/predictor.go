package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/internal/gorgonia"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
)

// A Predictor answers with a network at one level. It is safe for concurrent use, and its answers do not depend on who
// else calls it. Close it when done. The zero Predictor, and nil, have nothing to say of themselves and answer with errors.
type Predictor struct {
	info           Info
	level          string
	widened        map[string]array.DType
	device         device
	session        backends.Session
	exec           backends.Executable
	allowNonFinite bool
}

var errEmpty = errors.New("the Predictor is empty; make one with LoadSparse or Network.Predictor")

func (p *Predictor) empty() bool { return p == nil || p.exec == nil }

// An Option changes how a Predictor is made.
type Option func(*options)

type options struct {
	level          string
	backend        backends.Backend
	pin            *backends.Plan
	allowNonFinite bool
}

// Level picks a level by name, for example "topk:0.9". Without it the network must have exactly one.
func Level(name string) Option { return func(o *options) { o.level = name } }

// On picks the backend, which stays the caller's to close. Without it a Predictor makes itself a CPU backend on all cores.
func On(b backends.Backend) Option { return func(o *options) { o.backend = b } }

// Pin fixes the kernels, as [Predictor.Plan] of an earlier Predictor reported them.
func Pin(p *backends.Plan) Option { return func(o *options) { o.pin = p } }

// AllowNonFinite lets NaN and infinities pass. Without it Predict refuses an input that holds one, naming where.
func AllowNonFinite() Option { return func(o *options) { o.allowNonFinite = true } }

// Predictor prepares the network for answering.
func (n *Network) Predictor(ctx context.Context, opts ...Option) (*Predictor, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	p, err := n.predictor(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predictor: %w", err)
	}
	return p, nil
}

// gather applies options.
func gather(opts []Option) (options, error) {
	var o options
	for i, set := range opts {
		if set == nil {
			return o, fmt.Errorf("option %d of a Predictor is nil", i)
		}
		set(&o)
	}
	return o, nil
}

func (n *Network) predictor(ctx context.Context, o options) (*Predictor, error) {
	l, err := n.level(o.level)
	if err != nil {
		return nil, err
	}
	p := &Predictor{info: n.info, level: l.name, widened: l.widened, allowNonFinite: o.allowNonFinite}
	if p.device, err = openDevice(o.backend); err != nil {
		return nil, err
	}
	if p.session, err = p.device.NewSession(ctx); err == nil {
		p.exec, err = p.session.Compile(ctx, n.programs.replaced(l.programs).infer, backends.Options{Const: l.tensors, Pin: o.pin})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("level %s: %w", l.name, err), p.Close())
	}
	return p, nil
}

// Info returns what the network says about itself: input shape, class names, provenance.
func (p *Predictor) Info() Info {
	if p.empty() {
		return Info{}
	}
	return p.info
}

// Level returns the name of the level that answers.
func (p *Predictor) Level() string {
	if p.empty() {
		return ""
	}
	return p.level
}

// Backend says what runs the network: backend, instruction set, threads.
func (p *Predictor) Backend() backends.Info {
	if p.empty() {
		return backends.Info{}
	}
	return p.device.Info()
}

// Plan reports the kernel that was chosen for each layer.
func (p *Predictor) Plan() *backends.Plan {
	if p.empty() {
		return nil
	}
	return p.exec.Plan()
}

// Predict returns the network's outputs, logits [n classes] for a classifier, for a batch x of n ≥ 1 examples: a float32
// tensor [n, shape of one example] of raw values (images: CHW in [0, 1]; normalisation is part of the network). One
// example without the leading axis counts as a batch of one. x is only read.
//
// A wrong type or shape, or a NaN or infinity in x unless [AllowNonFinite], is an error.
func (p *Predictor) Predict(ctx context.Context, x *tensor.Dense) (*tensor.Dense, error) {
	if p.empty() {
		return nil, fmt.Errorf("sdk: Predict: %w", errEmpty)
	}
	dims, values, err := gorgonia.From(x)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	example := p.info.Input().Example()
	if slices.Equal(dims, example) {
		dims = append([]int{1}, dims...)
	}
	if len(dims) == 0 || !slices.Equal(dims[1:], example) {
		return nil, fmt.Errorf("sdk: Predict: want a batch of shape [n %v], got %v", example, dims)
	}
	if !p.allowNonFinite {
		for i, v := range values {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("sdk: Predict: element %d of example %d is %v; clean the input or allow it with sdk.AllowNonFinite()",
					i%array.Count(example), i/array.Count(example), v)
			}
		}
	}
	in, err := array.FromF32(values, dims...)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	out, err := p.exec.Run(ctx, []array.Tensor{in}, nil)
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	y, err := gorgonia.To(out[0].Dims, out[0].F32())
	if err != nil {
		return nil, fmt.Errorf("sdk: Predict: %w", err)
	}
	return y, nil
}

// Evaluate scores the network on a data set of raw examples, in batches of the given size.
func (p *Predictor) Evaluate(ctx context.Context, set data.Set, batch int) (Score, error) {
	if p.empty() {
		return Score{}, fmt.Errorf("sdk: Evaluate: %w", errEmpty)
	}
	s, err := evaluate(ctx, p.exec, set, batch)
	if err != nil {
		return Score{}, fmt.Errorf("sdk: Evaluate: %w", err)
	}
	return s, nil
}

// Close frees what the Predictor holds. Calls after it return backends.ErrClosed.
func (p *Predictor) Close() error {
	if p == nil {
		return nil
	}
	var errs []error
	if p.exec != nil {
		errs = append(errs, p.exec.Close())
	}
	if p.session != nil {
		errs = append(errs, p.session.Close())
	}
	return errors.Join(append(errs, p.device.close())...)
}
