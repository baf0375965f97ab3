package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

type convertFlags struct {
	levels, drop    []string
	encoding, dtype string
	out             string
}

func (a *app) convert() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert FILE --out FILE",
		Short: "Select levels, and change the encoding or the dtype of weights",
		Long: `Write a file again: with some of its levels, with its weights in another encoding, or with its
prunable weights in another dtype.

The selection of levels and the encodings change no weight. --dtype f16 and --dtype bf16 round the
weights of convolutions, linear layers and embeddings to the nearest value, ties to even; all
other tensors stay f32. The command prints the largest change, and refuses a weight that f16
cannot represent. --dtype f32 converts the weights back without a change. Networks compute in
float32, whatever the dtype in the file.

A checkpoint of a training in progress cannot be converted.`,
		Example: `  cram convert levels.cram --level topk:0.9 --out net90.cram
  cram convert net90.cram --dtype f16 --out net90-f16.cram
  cram convert net90.cram --encoding dense --out net90-dense.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runConvert(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.levels, "level", nil, "`LEVELS` to keep, in this order; without the flag all")
	fs.StringSliceVar(&f.drop, "drop", nil, "`LEVELS` to leave out")
	fs.StringVar(&f.encoding, "encoding", "", "`ENCODING` of the weights: dense, bitmask, index16, or smallest for the smallest of these for each weight; without the flag unchanged")
	fs.StringVar(&f.dtype, "dtype", "", "`DTYPE` of the weights: f32, f16 or bf16; without the flag unchanged")
	fs.StringVar(&f.out, "out", "", "`FILE` to write")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsMutuallyExclusive("level", "drop")
	return cmd
}

// A convertResult is the result for one level.
type convertResult struct {
	Level    string `json:"level"`
	Lossless bool   `json:"lossless"` // no weight has changed

	// The largest |new - old| of a weight and the tensor with it. If a weight that was or is
	// infinite or NaN has changed, Unbounded is true and MaxChange is 0: JSON has no infinity.
	MaxChange float64 `json:"max_change,omitempty"`
	Unbounded bool    `json:"unbounded,omitempty"`
	Tensor    string  `json:"tensor,omitempty"`
}

func (r convertResult) text() string {
	if r.Lossless {
		return r.Level + ": lossless"
	}
	if r.Unbounded {
		return fmt.Sprintf("%s: changed without bound in %s: a weight that was or is infinite or NaN has changed", r.Level, r.Tensor)
	}
	return fmt.Sprintf("%s: rounded, by at most %.3g in %s", r.Level, r.MaxChange, r.Tensor)
}

func (a *app) runConvert(file string, f convertFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	content, err := f.read(file)
	if err != nil {
		return err
	}
	kernels := kernelsOf(content.Programs["infer"])
	results := make([]convertResult, len(content.Levels))
	for i, l := range content.Levels {
		if results[i], err = f.convertLevel(l, kernels); err != nil {
			return fmt.Errorf("%s: level %s: %w", file, l.Name, err)
		}
	}
	if err := checkpoint.Save(f.out, content); err != nil {
		return err
	}
	for _, result := range results {
		if err := a.print(result); err != nil {
			return err
		}
	}
	return a.printWritten(f.out)
}

// check returns a usage error unless the flags are in range.
func (f convertFlags) check() error {
	for i, name := range f.levels {
		if slices.Contains(f.levels[:i], name) {
			return usagef("--level: want each level once, got %q twice", name)
		}
	}
	return cmp.Or(
		oneOf("encoding", cmp.Or(f.encoding, "dense"), "dense", "bitmask", "index16", "smallest"),
		oneOf("dtype", cmp.Or(f.dtype, "f32"), "f32", "f16", "bf16"),
	)
}

// read returns the content of a file, with the levels of the new file.
func (f convertFlags) read(file string) (*checkpoint.File, error) {
	r, err := checkpoint.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.HasState() {
		return nil, fmt.Errorf("%s is the checkpoint of a training in progress: finish the training first", file)
	}
	names, err := f.selectLevels(r.Levels())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	content, err := r.File()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	byName := map[string]checkpoint.Level{}
	for _, l := range content.Levels {
		byName[l.Name] = l
	}
	content.Levels = nil
	for _, name := range names {
		content.Levels = append(content.Levels, byName[name])
	}
	return content, nil
}

// selectLevels returns the names of the levels of the new file.
func (f convertFlags) selectLevels(have []string) ([]string, error) {
	for _, name := range slices.Concat(f.levels, f.drop) {
		if !slices.Contains(have, name) {
			return nil, &checkpoint.LevelError{Want: name, Have: have}
		}
	}
	if len(f.levels) > 0 {
		return f.levels, nil
	}
	left := slices.DeleteFunc(slices.Clone(have), func(name string) bool { return slices.Contains(f.drop, name) })
	if len(left) == 0 {
		return nil, fmt.Errorf("--drop leaves no level of %v", have)
	}
	return left, nil
}

// kernelsOf returns the names of the weights that can be stored in 16 bits.
func kernelsOf(p *graph.Program) map[string]bool {
	kernels := map[string]bool{}
	if p != nil {
		for _, s := range p.Slots {
			kernels[s.Name] = s.DType == array.F32 && (s.Role == graph.Kernel || s.Role == graph.Embedding)
		}
	}
	return kernels
}

// convertLevel replaces the tensors of a level by the converted ones.
func (f convertFlags) convertLevel(l checkpoint.Level, kernels map[string]bool) (convertResult, error) {
	result, largest := convertResult{Level: l.Name, Lossless: true}, 0.0
	for _, name := range slices.Sorted(maps.Keys(l.Tensors)) {
		before := l.Tensors[name]
		after, err := f.convert(before, kernels[name])
		if err != nil {
			return result, fmt.Errorf("%s: %w", name, err)
		}
		l.Tensors[name] = after
		change, changed, err := difference(before, after)
		if err != nil {
			return result, fmt.Errorf("%s: %w", name, err)
		}
		if changed && (result.Lossless || change > largest) {
			largest = change
			result = convertResult{Level: l.Name, Tensor: name, Unbounded: math.IsInf(change, 1)}
			if !result.Unbounded {
				result.MaxChange = change
			}
		}
	}
	return result, nil
}

// convert returns v in the dtype and encoding of the flags. Only a kernel is converted.
func (f convertFlags) convert(v array.Value, kernel bool) (array.Value, error) {
	var err error
	if f.dtype != "" && kernel {
		d, err := array.ParseDType(f.dtype)
		if err != nil {
			return v, err
		}
		if v.DType != d && v.DType != array.F32 { // from one 16-bit dtype to the other
			if v, err = v.Cast(array.F32); err != nil {
				return v, err
			}
		}
		if v, err = v.Cast(d); err != nil {
			return v, err
		}
	}
	if f.encoding == "" || !kernel {
		return v, nil
	}
	t, err := v.Decode()
	if err != nil {
		return v, err
	}
	if f.encoding == "smallest" {
		return t.Smallest()
	}
	e, err := array.ParseEncoding(f.encoding)
	if err != nil {
		return v, err
	}
	return t.Encode(e)
}

// difference returns the largest |x[i] - y[i]| of two values of equal shape, and whether any
// element differs. A NaN equals a NaN. The difference is infinite between elements of which one is
// not finite. Values of equal dtype are taken as equal, since an encoding changes no element.
func difference(x, y array.Value) (largest float64, changed bool, err error) {
	if x.DType == y.DType {
		return 0, false, nil
	}
	var t [2]array.Tensor
	for k, v := range []array.Value{x, y} {
		wide, err := v.Cast(array.F32)
		if err != nil {
			return 0, false, err
		}
		if t[k], err = wide.Decode(); err != nil {
			return 0, false, err
		}
	}
	after := t[1].F32()
	for i, a := range t[0].F32() {
		b := after[i]
		if math.Float32bits(a) == math.Float32bits(b) || a != a && b != b {
			continue
		}
		d := math.Abs(float64(a) - float64(b))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		largest, changed = max(largest, d), true
	}
	return largest, changed, nil
}
