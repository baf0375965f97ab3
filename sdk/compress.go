package sdk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
)

// Calibration is the data that Compress re-estimates batch-norm statistics on. Pruning shifts every activation, so the
// statistics of the dense network no longer fit; without tuning most of the accuracy at high sparsity is lost.
// The defaults are the paper's (§3): 100 batches of 128 from 1,000 augmented training examples.
type Calibration struct {
	Set     data.Set         // training examples; no labels are used. nil: statistics stay as they are
	Augment []data.Transform // as in training
	Samples int              // examples drawn from Set; 0 means 1,000, or all when there are fewer
	Batch   int              // 0 means 128
	Batches int              // 0 means 100
	Seed    uint64
	Backend backends.Backend // nil: backends/cpu on all cores
}

// Compress prunes a trained network one-shot by each of cs and re-estimates the batch-norm statistics of each result.
// The network returned has one level for each compressor, under its text name; net is not changed. A network of several
// levels is compressed from its dense one.
//
// It is an error if net has no dense weights, a name repeats, or a compressor's answer is unsound.
func Compress(ctx context.Context, net *Network, c Calibration, cs ...compress.Compressor) (*Network, error) {
	if len(cs) == 0 {
		return nil, errors.New("sdk: Compress: give at least one compressor, for example compress.TopK(0.9)")
	}
	if net == nil {
		return nil, errors.New("sdk: Compress: the network is nil")
	}
	for i, compressor := range cs {
		if err := checkCompressor(compressor); err != nil {
			return nil, fmt.Errorf("sdk: Compress: compressor %d: %w", i, err)
		}
	}
	dense, err := net.level(Dense)
	if err != nil {
		return nil, fmt.Errorf("sdk: Compress: %w", err)
	}
	tensors, err := dense.decode()
	if err != nil {
		return nil, fmt.Errorf("sdk: Compress: %w", err)
	}
	if err := c.defaults(); err != nil {
		return nil, err
	}
	out := &Network{info: net.info, programs: net.programs}
	for _, compressor := range cs {
		if slices.Contains(out.Levels(), compressor.String()) {
			return nil, fmt.Errorf("sdk: Compress: level %v is asked for twice", compressor)
		}
		applied, report, err := net.programs.compress(ctx, compressor, tensors)
		if err != nil {
			return nil, err
		}
		if c.Set != nil && net.programs.tune != nil && compressor.String() != Dense {
			if err := net.programs.tuneOn(ctx, applied, c); err != nil {
				return nil, fmt.Errorf("sdk: batch-norm tuning of %v: %w", compressor, err)
			}
		}
		l, err := encode(compressor, applied, report)
		if err != nil {
			return nil, err
		}
		out.levels = append(out.levels, l)
	}
	return out, nil
}

// defaults checks the fields and replaces zero ones by what their comments say.
func (c *Calibration) defaults() error {
	if c.Samples < 0 || c.Batch < 0 || c.Batches < 0 {
		return fmt.Errorf("sdk: Calibration: Samples, Batch and Batches are %d, %d and %d, must be 0 or more", c.Samples, c.Batch, c.Batches)
	}
	if c.Samples == 0 {
		c.Samples = 1000
	}
	if c.Set != nil {
		c.Samples = min(c.Samples, c.Set.Len())
	}
	if c.Batch == 0 {
		c.Batch = 128
	}
	if c.Batches == 0 {
		c.Batches = 100
	}
	return nil
}

// compress returns tensors with the parameters as the compressor leaves them.
func (p programs) compress(ctx context.Context, c compress.Compressor, tensors map[string]array.Tensor) (map[string]array.Tensor, compress.Report, error) {
	metas := weightMetas(p.infer.Slots)
	weights := make([]compress.Weight, len(metas))
	for i, m := range metas {
		weights[i] = compress.Weight{Meta: m, Data: tensors[m.Name]}
	}
	answer, err := c.Compress(ctx, weights)
	if err != nil {
		return nil, compress.Report{}, naming(c, err)
	}
	report, err := compress.NewReport(c, weights, answer)
	if err != nil {
		return nil, report, fmt.Errorf("sdk: %w", err)
	}
	out := maps.Clone(tensors)
	for i, w := range weights {
		if out[w.Name], err = answer[i].Apply(w); err != nil {
			return nil, report, fmt.Errorf("sdk: %w", err)
		}
	}
	return out, report, nil
}

// naming says which compressor an error is of, unless it does so itself.
func naming(c compress.Compressor, err error) error {
	if strings.Contains(err.Error(), c.String()) {
		return fmt.Errorf("sdk: %w", err)
	}
	return fmt.Errorf("sdk: compressor %v: %w", c, err)
}

// encode stores a level's tensors so that zeros take no room, in the pattern's own encoding where it has one.
func encode(c compress.Compressor, tensors map[string]array.Tensor, r compress.Report) (level, error) {
	l := level{name: c.String(), tensors: make(map[string]array.Value, len(tensors)), report: r, notes: map[string]string{}}
	var err error
	for name, t := range tensors {
		if l.tensors[name], err = t.Smallest(); err != nil {
			return l, fmt.Errorf("sdk: level %s: %s: %w", l.name, name, err)
		}
	}
	for _, row := range r.Rows {
		if row.Skipped != "" {
			l.notes[row.Name] = row.Skipped
		} else if p := row.Pattern; p.N < p.M {
			if l.tensors[row.Name], err = tensors[row.Name].EncodeNM(p.N, p.M, p.Axis); err != nil {
				return l, fmt.Errorf("sdk: level %s: %s: %w", l.name, row.Name, err)
			}
		}
	}
	return l, nil
}

// tuneOn replaces the statistics among tensors by what training-mode passes without a gradient find, from their initial values.
func (p programs) tuneOn(ctx context.Context, tensors map[string]array.Tensor, c Calibration) error {
	sample, err := data.Sample(c.Set, c.Samples, c.Seed)
	if err != nil {
		return err
	}
	device, err := openDevice(c.Backend)
	if err != nil {
		return err
	}
	defer device.close()
	session, err := device.NewSession(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	for _, s := range p.tune.Slots {
		if err := session.Set(ctx, s.Name, array.DenseValue(tensors[s.Name])); err != nil {
			return err
		}
	}
	reset, err := session.Compile(ctx, p.reset, backends.Options{})
	if err != nil {
		return err
	}
	if _, err := reset.Run(ctx, nil, nil); err != nil {
		return err
	}
	tune, err := session.Compile(ctx, p.tune, backends.Options{})
	if err != nil {
		return err
	}
	if err := c.passes(ctx, tune, sample); err != nil {
		return err
	}
	for _, s := range p.reset.Slots {
		if tensors[s.Name], err = session.Get(ctx, s.Name); err != nil {
			return err
		}
	}
	return nil
}

// passes runs the statistics program over the sample, epoch after epoch, for the number of batches asked for.
func (c Calibration) passes(ctx context.Context, tune backends.Executable, sample data.Set) error {
	loader := data.Loader{Set: sample, Batch: c.Batch, Transforms: c.Augment, Shuffle: true, Seed: c.Seed, DropLast: sample.Len() >= c.Batch}
	done := 0
	for epoch := 0; done < c.Batches; epoch++ {
		for b, err := range loader.Epoch(ctx, epoch, 0) {
			if err != nil {
				return err
			}
			x, err := array.FromF32(b.X, b.Shape...)
			if err != nil {
				return err
			}
			key, err := array.FromI64([]int64{int64(c.Seed), int64(done)})
			if err != nil {
				return err
			}
			if _, err := tune.Run(ctx, []array.Tensor{x, key}, nil); err != nil {
				return err
			}
			if done++; done == c.Batches {
				break
			}
		}
	}
	return nil
}
