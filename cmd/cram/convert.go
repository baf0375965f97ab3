package main

import (
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
		Short: "Pick levels, and store weights in another encoding or type",
		Long: `Write a file again with some of its levels, its weights in another encoding, or its kernels in another type.

Levels and encodings are lossless: every weight keeps every bit. --dtype f16 or bf16 rounds convolution, linear and embedding weights
to the nearest, ties to even; norms, biases and statistics stay f32. It refuses a weight that f16 cannot hold, and the largest
change is printed. --dtype f32 widens them again, exactly. Such a file is served in float32.

A training in progress cannot be converted: its state belongs to its weights.`,
		Example: `  cram convert levels.cram --level topk:0.9 --out net90.cram
  cram convert net90.cram --dtype f16 --out net90-f16.cram
  cram convert net90.cram --encoding dense --out net90-dense.cram`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runConvert(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringSliceVar(&f.levels, "level", nil, "levels to keep, in this order; all when left out")
	fs.StringSliceVar(&f.drop, "drop", nil, "levels to leave out")
	fs.StringVar(&f.encoding, "encoding", "", "dense, bitmask, index16, or smallest of the three for each weight; as it is when left out")
	fs.StringVar(&f.dtype, "dtype", "", "f32, f16 or bf16; as it is when left out")
	fs.StringVar(&f.out, "out", "", "file to write")
	cmd.MarkFlagRequired("out")
	cmd.MarkFlagsMutuallyExclusive("level", "drop")
	return cmd
}

// A converted says what became of one level.
type converted struct {
	Level     string  `json:"level"`
	Lossless  bool    `json:"lossless"`             // every weight is the number it was
	MaxChange float64 `json:"max_change,omitempty"` // the largest |new - old|, left out where it is unbounded: JSON has no infinity
	Unbounded bool    `json:"unbounded,omitempty"`  // a weight is infinite or NaN now, or was, and is another
	Tensor    string  `json:"tensor,omitempty"`     // where
}

func (r converted) text() string {
	if r.Lossless {
		return r.Level + ": lossless"
	}
	if r.Unbounded {
		return fmt.Sprintf("%s: changed without bound in %s: a weight that is infinite or NaN now, or was, is another", r.Level, r.Tensor)
	}
	return fmt.Sprintf("%s: rounded, by at most %.3g in %s", r.Level, r.MaxChange, r.Tensor)
}

func (a *app) runConvert(file string, f convertFlags) error {
	if f.encoding != "" && !slices.Contains([]string{"dense", "bitmask", "index16", "smallest"}, f.encoding) {
		return usagef("--encoding is %q, must be dense, bitmask, index16 or smallest", f.encoding)
	}
	if f.dtype != "" && !slices.Contains([]string{"f32", "f16", "bf16"}, f.dtype) {
		return usagef("--dtype is %q, must be f32, f16 or bf16", f.dtype)
	}
	for i, name := range f.levels {
		if slices.Contains(f.levels[:i], name) {
			return usagef("--level names %q twice; a file has a level once", name)
		}
	}
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.HasState() {
		return fmt.Errorf("%s is a training in progress; finish it first", file)
	}
	out := checkpoint.File{Info: r.Info(), Programs: map[string]*graph.Program{}}
	for _, name := range r.Programs() {
		if out.Programs[name], err = r.Program(name); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	kernels := kernelsOf(out.Programs["infer"])
	names, err := f.keep(r.Levels())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var results []converted
	for _, name := range names {
		l, err := r.Level(name)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		result, most := converted{Level: name, Lossless: true}, 0.0
		for _, tensor := range slices.Sorted(maps.Keys(l.Tensors)) {
			v := l.Tensors[tensor]
			if l.Tensors[tensor], err = f.convert(v, kernels[tensor]); err != nil {
				return fmt.Errorf("%s: level %s: %s: %w", file, name, tensor, err)
			}
			change, changed, err := difference(v, l.Tensors[tensor])
			if err != nil {
				return fmt.Errorf("%s: level %s: %s: %w", file, name, tensor, err)
			}
			if changed && (result.Lossless || change > most) {
				result, most = converted{Level: name, Tensor: tensor}, change
				if result.Unbounded = math.IsInf(change, 1); !result.Unbounded {
					result.MaxChange = change
				}
			}
		}
		out.Levels = append(out.Levels, *l)
		results = append(results, result)
	}
	if err := checkpoint.Save(f.out, &out); err != nil {
		return err
	}
	for _, result := range results {
		if err := a.print(result); err != nil {
			return err
		}
	}
	return a.printWritten(f.out)
}

// keep returns the levels that the new file has.
func (f convertFlags) keep(have []string) ([]string, error) {
	for _, name := range slices.Concat(f.levels, f.drop) {
		if !slices.Contains(have, name) {
			return nil, &checkpoint.LevelError{Want: name, Have: have}
		}
	}
	if len(f.levels) > 0 {
		return f.levels, nil
	}
	kept := slices.DeleteFunc(slices.Clone(have), func(name string) bool { return slices.Contains(f.drop, name) })
	if len(kept) == 0 {
		return nil, fmt.Errorf("no level is left of %v", have)
	}
	return kept, nil
}

// kernelsOf returns the names of the weights that may be stored in 16 bits.
func kernelsOf(p *graph.Program) map[string]bool {
	kernels := map[string]bool{}
	if p != nil {
		for _, s := range p.Slots {
			kernels[s.Name] = s.DType == array.F32 && (s.Role == graph.Kernel || s.Role == graph.Embedding)
		}
	}
	return kernels
}

// convert returns v, a weight or not, in the type and encoding asked for.
func (f convertFlags) convert(v array.Value, kernel bool) (array.Value, error) {
	var err error
	if f.dtype != "" && kernel {
		d, err := array.ParseDType(f.dtype)
		if err != nil {
			return v, err
		}
		if v.DType != d && v.DType != array.F32 { // from one 16-bit type to the other
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

// difference returns the largest |x - y| of two values of one shape, and whether any element is another number. NaN is the same as NaN, and
// whatever else is not finite and differs is infinitely far away. Only a change of type changes numbers.
func difference(x, y array.Value) (most float64, changed bool, err error) {
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
		most, changed = max(most, d), true
	}
	return most, changed, nil
}
