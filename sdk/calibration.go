package sdk

import (
	"context"
	"fmt"
	"slices"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/data"
)

// Calibration is the data on which Compress re-estimates batch-norm statistics. Pruning shifts
// every activation, so the statistics of the dense network no longer fit; without tuning, most of
// the accuracy at high sparsity is lost. The defaults are the paper's (§3,
// https://arxiv.org/abs/2207.14200): 100 batches of 128 from 1,000 augmented training examples.
//
// Statistics begin at their reset values and move by the momentum of each layer, 0.1 by default:
// with fewer than some 40 batches the reset values still weigh in.
type Calibration struct {
	// Set holds training examples; their targets are not used. Nil: statistics stay as they are.
	Set data.Set
	// Augment transforms the examples, as in training.
	Augment []data.Transform
	// Samples is the number of examples drawn from Set. 0: 1,000, or all if there are fewer.
	Samples int
	// Batch is the number of examples in a batch. 0: 128.
	Batch int
	// Batches is the number of batches, drawn from the sample again and again. 0: 100.
	Batches int
	// Seed determines sample, order and augmentation.
	Seed uint64
	// Backend runs the passes and remains the caller's to close. Nil: a CPU backend on all cores.
	Backend backends.Backend
}

// defaults checks the fields and replaces zero ones by what their comments state.
func (c *Calibration) defaults(p programs) error {
	if c.Samples < 0 || c.Batch < 0 || c.Batches < 0 {
		return fmt.Errorf("Calibration: want Samples, Batch and Batches of 0 or more, got %d, %d and %d", c.Samples, c.Batch, c.Batches)
	}
	if c.Samples == 0 {
		c.Samples = 1000
	}
	if c.Batch == 0 {
		c.Batch = 128
	}
	if c.Batches == 0 {
		c.Batches = 100
	}
	if c.Set == nil {
		return nil
	}
	c.Samples = min(c.Samples, c.Set.Len())
	inputs, err := data.Loader{Set: c.Set, Batch: c.Batch, Transforms: c.Augment}.Inputs()
	if err == nil {
		err = checkInputs(p.fields(), inputs)
	}
	if err != nil {
		return fmt.Errorf("Calibration.Set: %w", err)
	}
	return nil
}

// tuneOn replaces the statistics among tensors by those that training passes without a gradient
// collect, from their initial values.
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

// passes runs the program that updates the statistics over the sample, epoch after epoch, for the
// number of batches asked for.
func (c Calibration) passes(ctx context.Context, tune backends.Executable, sample data.Set) error {
	loader := data.Loader{Set: sample, Batch: c.Batch, Transforms: c.Augment, Shuffle: true, Seed: c.Seed, DropLast: sample.Len() >= c.Batch}
	done := 0
	for epoch := 0; done < c.Batches; epoch++ {
		for b, err := range loader.Epoch(ctx, epoch, 0) {
			if err != nil {
				return err
			}
			key, err := array.From([]int64{int64(c.Seed), int64(done)})
			if err != nil {
				return err
			}
			if _, err := tune.Run(ctx, append(slices.Clone(b.Inputs), key), nil); err != nil {
				return err
			}
			if done++; done == c.Batches {
				break
			}
		}
	}
	return nil
}
