package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/internal/printable"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

type inspectFlags struct {
	level   string
	program string
}

func (a *app) inspect() *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show the provenance, levels, tensors and programs of a file",
		Long: `Show how a network was trained, and its levels. For --level, or for a file with one level, also
show each tensor: its dtype, shape, encoding, zeros, bytes in the file, and bytes when it is dense
in f32. With --json, show the tensors of all levels.

The zeros of a level are the share of the prunable weights that is zero, as cram compress prints it;
biases, normalization parameters and statistics do not count. The zeros of a tensor are the share of
its elements that the file does not store.

The bytes of a level are those that are read for this level alone. Levels of one file share parts,
and each level counts them, so that the sum over the levels can be larger than the file. A shared
level can need an index in addition to its values: a level with few zeros can have more than 100 %
of the dense bytes.`,
		Example: `  cram inspect net90.cram
  cram inspect levels.cram --level topk:0.9
  cram inspect net90.cram --program infer
  cram inspect levels.cram --json`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runInspect(args[0], f) }),
	}
	cmd.Flags().StringVar(&f.level, "level", "", "show the tensors of this `LEVEL`")
	cmd.Flags().StringVar(&f.program, "program", "", "print this `PROGRAM` instead, for example infer")
	return cmd
}

func (a *app) runInspect(file string, f inspectFlags) error {
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.program != "" {
		return a.printProgram(r, file, f.program)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	m := r.Info()
	if err := a.print(fileResult{
		File: file, Bytes: info.Size(), Model: m.Model, Recipe: m.Recipe, Data: m.Data, Seed: m.Seed, Versions: m.Versions, Extra: m.Extra,
		Shape: m.Input().Example(), Mean: m.Input().Mean, Std: m.Input().Std, Classes: m.Output().Classes,
		Programs: r.Programs(), Training: r.HasState(),
	}); err != nil {
		return err
	}
	levels := r.Levels()
	if f.level != "" {
		levels = []string{f.level}
	}
	for _, name := range levels {
		if err := a.printLevel(r, name, a.json || len(levels) == 1); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// A fileResult is the information in a file about its network.
type fileResult struct {
	File     string            `json:"file"`
	Bytes    int64             `json:"bytes"`
	Model    string            `json:"model"`
	Recipe   string            `json:"recipe"`
	Data     string            `json:"data"`
	Seed     uint64            `json:"seed"`
	Versions map[string]string `json:"versions"`
	Extra    map[string]string `json:"extra,omitempty"`
	Shape    []int             `json:"input_shape"`
	Mean     []float32         `json:"mean,omitempty"`
	Std      []float32         `json:"std,omitempty"`
	Classes  []string          `json:"classes,omitempty"`
	Programs []string          `json:"programs"`
	// the file is a checkpoint of a training in progress
	Training bool `json:"training"`
}

func (r fileResult) text() string {
	rows := [][2]string{
		{"file", fmt.Sprintf("%s, %s", r.File, size(r.Bytes))},
		{"model", r.Model},
		{"trained", r.Recipe},
		{"data", dataText(r.Data, r.Seed)},
		{"input", fmt.Sprintf("%v, mean %v, std %v", r.Shape, r.Mean, r.Std)},
		{"classes", strings.Join(r.Classes, ", ")},
		{"programs", strings.Join(r.Programs, ", ")},
	}
	for _, m := range []map[string]string{r.Versions, r.Extra} {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			rows = append(rows, [2]string{key, m[key]})
		}
	}
	if r.Training {
		rows = append(rows, [2]string{"state", "training in progress"})
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = fmt.Sprintf("%-9s %s", row[0], oneLine(row[1]))
	}
	return strings.Join(lines, "\n")
}

// dataText returns the row of the training data; a dash if the file does not name them.
func dataText(name string, seed uint64) string {
	if name == "" {
		return "–"
	}
	return fmt.Sprintf("%s, seed %d", name, seed)
}

// oneLine escapes the line ends and control characters of a text of the file, whose length the
// format bounds, so that it cannot imitate other lines. The format guarantees that names are
// printable.
func oneLine(s string) string { return printable.Line(s, math.MaxInt) }

// printLevel prints one level, after its tensors if tensors is true.
func (a *app) printLevel(r *checkpoint.Reader, name string, tensors bool) error {
	info, err := r.LevelInfo(name)
	if err != nil {
		return err
	}
	prunable, err := prunableWeights(r)
	if err != nil {
		return err
	}
	total := levelResult{Level: name, Tensors: len(info.Tensors), Notes: info.Notes, prunable: prunable != nil}
	zeros, elements := 0.0, 0.0
	for _, t := range info.Tensors {
		n := 1
		for _, d := range t.Dims {
			n *= d
		}
		row := tensorResult{Level: name, Tensor: t.Name, DType: t.DType.String(), Dims: t.Dims, Encoding: t.Encoding, Sparsity: t.Sparsity, Bytes: t.Bytes}
		row.DenseBytes = int64(t.DType.Bytes(n))
		if t.DType == array.F16 || t.DType == array.BF16 { // programs read f32
			row.DenseBytes = int64(array.F32.Bytes(n))
		}
		total.Bytes += row.Bytes
		total.DenseBytes += row.DenseBytes
		if prunable == nil || prunable[t.Name] {
			zeros += t.Sparsity * float64(n)
			elements += float64(n)
		}
		if tensors {
			if err := a.print(row); err != nil {
				return err
			}
		}
	}
	if elements > 0 {
		total.Sparsity = zeros / elements
	}
	return a.print(total)
}

// prunableWeights returns the names of the weights that compressors may prune; nil if the file has no
// program that states them.
func prunableWeights(r *checkpoint.Reader) (map[string]bool, error) {
	if !slices.Contains(r.Programs(), "infer") {
		return nil, nil
	}
	p, err := r.Program("infer")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, s := range p.Slots {
		if (compress.Meta{Role: s.Role}).Prunable() {
			names[s.Name] = true
		}
	}
	return names, nil
}

// A tensorResult is one tensor at one level.
type tensorResult struct {
	Level      string  `json:"level"`
	Tensor     string  `json:"tensor"`
	DType      string  `json:"dtype"`
	Dims       []int   `json:"dims"`
	Encoding   string  `json:"encoding"`
	Sparsity   float64 `json:"sparsity"`
	Bytes      int64   `json:"bytes"`
	DenseBytes int64   `json:"dense_bytes"`
}

func (r tensorResult) text() string {
	const width = 20
	filled := int(math.Round(width * (1 - r.Sparsity)))
	return fmt.Sprintf("  %-36s %-16s %-10s %s%s %5.1f %% zeros %10s of %s", r.Tensor, r.DType+fmt.Sprint(r.Dims), r.Encoding,
		strings.Repeat("█", filled), strings.Repeat("·", width-filled), 100*r.Sparsity, size(r.Bytes), size(r.DenseBytes))
}

// A levelResult is the sum over a level's tensors.
type levelResult struct {
	Level      string  `json:"level"`
	Tensors    int     `json:"tensors"`
	Sparsity   float64 `json:"sparsity"` // of the prunable weights; of all tensors if they are unknown
	Bytes      int64   `json:"bytes"`
	DenseBytes int64   `json:"dense_bytes"`

	// the prunable weights without zeros, each with the reason
	Notes map[string]string `json:"notes,omitempty"`

	prunable bool // Sparsity is that of the prunable weights
}

func (r levelResult) text() string {
	noun := "tensors"
	if r.Tensors == 1 {
		noun = "tensor"
	}
	of := ""
	if r.prunable {
		of = " in prunable weights"
	}
	s := fmt.Sprintf("level %-16s %d %s, %.1f %% zeros%s, %s, %.1f %% of dense (%s in f32)", r.Level, r.Tensors, noun, 100*r.Sparsity, of,
		size(r.Bytes), 100*float64(r.Bytes)/float64(max(r.DenseBytes, 1)), size(r.DenseBytes))
	for _, key := range slices.Sorted(maps.Keys(r.Notes)) {
		s += fmt.Sprintf("\n  %s: %s", key, oneLine(r.Notes[key]))
	}
	return s
}

// A programResult is the text form of a program.
type programResult struct {
	Program string `json:"program"`
	Text    string `json:"text"`
}

func (r programResult) text() string { return strings.TrimSuffix(r.Text, "\n") }

func (a *app) printProgram(r *checkpoint.Reader, file, name string) error {
	if !slices.Contains(r.Programs(), name) {
		return fmt.Errorf("%s: want a program of %s, got %q", file, strings.Join(r.Programs(), ", "), name)
	}
	p, err := r.Program(name)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return a.print(programResult{name, p.String()})
}
