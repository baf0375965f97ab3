package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

type benchFileFlags struct {
	model    string
	sparsity []float64
	rounds   int
	dir      string
}

func (a *app) benchFile() *cobra.Command {
	var f benchFileFlags
	cmd := &cobra.Command{
		Use:   "file",
		Short: "Compare sizes of files, and time saving and loading",
		Long: `Write a model with random weights, dense and pruned by global magnitude, as a checkpoint of one level, as safetensors, and as gzip
of the safetensors, and print the sizes. Saving includes the flush to the disk, loading decodes nothing; both are medians. With --dir the
safetensors files stay there, for another reader to be timed on.`,
		Example: `  cram bench file --model resnet50 --sparsity 0.8,0.9,0.95`,
		Args:    cobra.NoArgs,
		RunE:    a.action(func(ctx context.Context, _ []string) error { return a.runBenchFile(ctx, f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.model, "model", "resnet50", "network: "+strings.Join(models.Names(), ", "))
	fs.Float64SliceVar(&f.sparsity, "sparsity", []float64{0, 0.8, 0.9, 0.95}, "fractions of zeros")
	fs.IntVar(&f.rounds, "rounds", 5, "how often to save and to load")
	fs.StringVar(&f.dir, "dir", "", "folder to leave the files in")
	return cmd
}

// A fileSize is one row of bench file.
type fileSize struct {
	Model    string  `json:"model"`
	Sparsity float64 `json:"sparsity"`
	Bytes    int64   `json:"bytes"`
	Dense    int64   `json:"dense_safetensors_bytes"`
	Gzip     int64   `json:"gzip_bytes"` // of the pruned safetensors, level 6
	Save     float64 `json:"save_s"`
	Load     float64 `json:"load_s"`
}

func (r fileSize) text() string {
	share := func(n int64) string { return fmt.Sprintf("%s (%.1f %%)", size(n), 100*float64(n)/float64(r.Dense)) }
	rate := func(s float64) string { return fmt.Sprintf("%.3f s, %.0f MB/s", s, float64(r.Bytes)/1e6/s) }
	return fmt.Sprintf("%s, %g %% zeros: %s; dense safetensors %s, gzip of the pruned %s; save %s; load %s",
		r.Model, 100*r.Sparsity, share(r.Bytes), size(r.Dense), share(r.Gzip), rate(r.Save), rate(r.Load))
}

func (a *app) runBenchFile(ctx context.Context, f benchFileFlags) error {
	if f.rounds < 1 {
		return usagef("--rounds is %d, must be at least 1", f.rounds)
	}
	net, err := random(f.model)
	if err != nil {
		return err
	}
	dir := f.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "cram-bench-*"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	for _, p := range f.sparsity {
		c, err := compress.Parse(fmt.Sprintf("topk:%g", p))
		if err != nil {
			return usageError{err}
		}
		level, err := sdk.Compress(ctx, net, sdk.Calibration{}, c)
		if err != nil {
			return err
		}
		row := fileSize{Model: f.model, Sparsity: p}
		if err := row.measure(level, filepath.Join(dir, fmt.Sprintf("%s-%g", f.model, p)), f.rounds); err != nil {
			return err
		}
		if err := a.print(row); err != nil {
			return err
		}
	}
	return nil
}

// random returns a model with the weights that a training begins with.
func random(name string) (*sdk.Network, error) {
	m, shape, err := models.New(name, 1000)
	if err != nil {
		return nil, usageError{err}
	}
	decls, _, err := nn.Declare(m, shape)
	if err != nil {
		return nil, err
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		return nil, err
	}
	return sdk.FromWeights(m, sdk.Info{Model: name, Recipe: "random weights", Input: sdk.Input{Shape: []int{shape[1].C, shape[2].C, shape[3].C}}}, weights)
}

// measure writes and reads the files of one level.
func (r *fileSize) measure(level *sdk.Network, stem string, rounds int) error {
	file := stem + ".cram"
	var save, load []float64
	var tensors map[string]graph.Value
	for range rounds {
		begin := time.Now()
		if err := level.Save(file); err != nil {
			return err
		}
		save = append(save, time.Since(begin).Seconds())
		begin = time.Now()
		c, err := checkpoint.Open(file)
		if err != nil {
			return err
		}
		l, err := c.Level("")
		if err != nil {
			return err
		}
		load = append(load, time.Since(begin).Seconds())
		tensors = l.Tensors
		if err := c.Close(); err != nil {
			return err
		}
	}
	slices.Sort(save)
	slices.Sort(load)
	r.Save, r.Load = save[rounds/2], load[rounds/2]
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	r.Bytes = info.Size()
	return r.compare(stem, tensors)
}

// compare writes the tensors as safetensors and measures its gzip. Zeros take as much room there as anything.
func (r *fileSize) compare(stem string, tensors map[string]graph.Value) error {
	file := stem + ".safetensors"
	if err := replace(file, func(w io.Writer) error { return safetensors.Write(w, tensors, nil) }); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	r.Dense = info.Size()
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	var n counter
	z := gzip.NewWriter(&n)
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	r.Gzip = int64(n)
	return nil
}

// A counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
