package sdk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/internal/step"
)

// Compress prunes the dense level of a network by each of cs and estimates the batch-norm
// statistics of each result again, on the examples of c. No weight is trained. The result has one
// level for each compressor, with its text name. Compress does not change net.
//
// It is an error if net has no level "dense" (a [*checkpoint.LevelError]), if two compressors have
// the same name, or if a result breaks the contract of compressors (a [*compress.ResultError]).
func Compress(ctx context.Context, net *Network, c Calibration, cs ...compress.Compressor) (*Network, error) {
	n, err := compressed(ctx, net, c, cs)
	if err != nil {
		return nil, fmt.Errorf("sdk: Compress: %w", err)
	}
	return n, nil
}

func compressed(ctx context.Context, net *Network, c Calibration, cs []compress.Compressor) (*Network, error) {
	if len(cs) == 0 {
		return nil, errors.New("want at least one compressor, for example compress.TopK(0.9), got none")
	}
	if net == nil {
		return nil, errors.New("want a network, got nil")
	}
	for i, compressor := range cs {
		if err := checkCompressor(compressor); err != nil {
			return nil, fmt.Errorf("compressor %d: %w", i, err)
		}
	}
	dense, err := net.level(Dense)
	if err != nil {
		return nil, err
	}
	tensors, err := dense.decode()
	if err != nil {
		return nil, err
	}
	own, err := net.programs.replaced(dense.programs)
	if err != nil {
		return nil, err
	}
	if err := c.defaults(own); err != nil {
		return nil, err
	}
	out := &Network{info: net.info, programs: net.programs}
	for _, compressor := range cs {
		if slices.Contains(out.Levels(), compressor.String()) {
			return nil, fmt.Errorf("want compressors of different names, got %v twice", compressor)
		}
		l, err := own.newLevel(ctx, compressor, tensors, c)
		if err != nil {
			return nil, err
		}
		l.programs = dense.programs
		out.levels = append(out.levels, l)
	}
	return out, nil
}

// newLevel compresses the dense tensors by c and estimates the statistics of the result.
func (p programs) newLevel(ctx context.Context, c compress.Compressor, dense map[string]array.Tensor, on Calibration) (level, error) {
	tensors, report, err := p.compress(ctx, c, dense)
	if err != nil {
		return level{}, err
	}
	if on.Set != nil && p.tune != nil && c.String() != Dense {
		if err := p.tuneOn(ctx, tensors, on); err != nil {
			return level{}, fmt.Errorf("batch-norm tuning of %v: %w", c, err)
		}
	}
	return encode(c, tensors, report)
}

// compress returns tensors with the parameters compressed by c.
func (p programs) compress(ctx context.Context, c compress.Compressor, tensors map[string]array.Tensor) (map[string]array.Tensor, compress.Report, error) {
	metas := step.Metas(p.infer.Slots)
	weights := make([]compress.Weight, len(metas))
	for i, m := range metas {
		weights[i] = compress.Weight{Meta: m, Data: tensors[m.Name]}
	}
	result, err := c.Compress(ctx, weights)
	if err != nil {
		return nil, compress.Report{}, step.Naming(c, err)
	}
	report, err := compress.NewReport(c, weights, result)
	if err != nil {
		return nil, report, err
	}
	out := maps.Clone(tensors)
	for i, w := range weights {
		if out[w.Name], err = result[i].Apply(w); err != nil {
			return nil, report, err
		}
	}
	return out, report, nil
}

// encode returns the level of tensors that c has compressed. Each tensor has the smallest encoding,
// and a weight with an N:M pattern the encoding of that pattern.
func encode(c compress.Compressor, tensors map[string]array.Tensor, r compress.Report) (level, error) {
	l := level{name: c.String(), tensors: make(map[string]array.Value, len(tensors)), report: r, notes: map[string]string{}}
	var err error
	for name, t := range tensors {
		if l.tensors[name], err = t.Smallest(); err != nil {
			return l, fmt.Errorf("level %s: %s: %w", l.name, name, err)
		}
	}
	for _, row := range r.Rows {
		if row.Skipped != "" {
			l.notes[row.Name] = row.Skipped
		} else if p := row.Pattern; p.N < p.M {
			if l.tensors[row.Name], err = tensors[row.Name].EncodeNM(p.N, p.M, p.Axis); err != nil {
				return l, fmt.Errorf("level %s: %s: %w", l.name, row.Name, err)
			}
		}
	}
	return l, nil
}

// checkCompressor returns an error if c is nil or its settings are out of range.
func checkCompressor(c compress.Compressor) error {
	if c == nil {
		return errors.New("want a compressor, for example compress.TopK(0.9), got nil")
	}
	checked, ok := c.(interface{ Check() error })
	if !ok {
		return nil
	}
	err := checked.Check()
	if err == nil || strings.Contains(err.Error(), c.String()) {
		return err
	}
	return fmt.Errorf("%v: %w", c, err)
}
