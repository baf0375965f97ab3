package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

type benchFileFlags struct {
	model    string
	sparsity []float64
	rounds   int
}

func (a *app) benchFile() *cobra.Command {
	var f benchFileFlags
	cmd := &cobra.Command{
		Use:   "file [-- PEER...]",
		Short: "Compare file sizes, and the time to save, load and serve",
		Long: `Write a model with random weights, pruned to each sparsity by global magnitude, as a checkpoint of
one level, as safetensors, and as gzip of the safetensors. Print the sizes, and the median times
of these operations over all rounds:

- save: write the checkpoint to a new file and flush it to the disk
- load: read the checkpoint into encoded tensors and check all of it
- serve: make a Predictor from the file; compared with reading its bytes, and with making a
  Predictor from the encoded tensors in memory

Files are read from the page cache. PEER is a command that is timed in turn with cram. It prints
its name on one line. For each line "load PATH" of its standard input it loads a safetensors file,
and for each line "save PATH" it writes the tensors of the last load and flushes the file. After
each it prints the time in seconds.`,
		Example: `  cram bench file --model resnet50 --sparsity 0.8,0.9,0.95
  cram bench file -- python3 .ci/safetensors_peer.py`,
		RunE: a.action(func(ctx context.Context, peer []string) error { return a.runBenchFile(ctx, f, peer) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	addModel(fs, &f.model, "resnet50")
	fs.Float64SliceVar(&f.sparsity, "sparsity", []float64{0, 0.8, 0.9, 0.95}, "`FRACTIONS` of zeros, each from 0 to 1")
	fs.Lookup("sparsity").DefValue = "0,0.8,0.9,0.95"
	fs.IntVar(&f.rounds, "rounds", 5, "number of rounds")
	return cmd
}

// A benchFileResult is one row of bench file. Times are medians in seconds.
type benchFileResult struct {
	Model    string  `json:"model"`
	Sparsity float64 `json:"sparsity"`
	Bytes    int64   `json:"bytes"`
	Dense    int64   `json:"dense_safetensors_bytes"`
	Gzip     int64   `json:"gzip_bytes"` // of the pruned safetensors, level 6
	Save     float64 `json:"save_s"`
	Load     float64 `json:"load_s"`
	Read     float64 `json:"read_s"`
	Repack   float64 `json:"repack_s"`
	Serve    float64 `json:"serve_s"`

	Peer     string  `json:"peer,omitempty"` // the name that the peer prints
	PeerSave float64 `json:"peer_save_s,omitempty"`
	PeerLoad float64 `json:"peer_load_s,omitempty"`
}

func (r benchFileResult) text() string {
	time := func(s float64, bytes int64) string {
		return fmt.Sprintf("%.1f ms (%.0f MB/s)", 1e3*s, float64(bytes)/1e6/s)
	}
	compared := func(s, peer float64) string {
		if r.Peer == "" {
			return time(s, r.Bytes)
		}
		return fmt.Sprintf("%s, %.2f times the %s of %s", time(s, r.Bytes), s/peer, time(peer, r.Dense), r.Peer)
	}
	share := func(bytes int64) string {
		return fmt.Sprintf("%s (%.1f %%)", size(bytes), 100*float64(bytes)/float64(r.Dense))
	}
	return fmt.Sprintf("%s, %g %% zeros: %s of the dense safetensors' %s; gzip of the pruned %s\n  save %s\n  load %s\n"+
		"  serve %.1f ms, %.2f times the %.1f ms of reading and %.1f ms of repacking",
		r.Model, 100*r.Sparsity, share(r.Bytes), size(r.Dense), share(r.Gzip), compared(r.Save, r.PeerSave), compared(r.Load, r.PeerLoad),
		1e3*r.Serve, r.Serve/(r.Read+r.Repack), 1e3*r.Read, 1e3*r.Repack)
}

func (a *app) runBenchFile(ctx context.Context, f benchFileFlags, command []string) error {
	if err := f.check(); err != nil {
		return err
	}
	net, err := random(f.model)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cram-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var peer *filePeer
	row := benchFileResult{Model: f.model}
	if len(command) > 0 {
		if peer, err = startFilePeer(ctx, command, a.stderr); err != nil {
			return err
		}
		defer peer.close()
		row.Peer = peer.name
	}
	for _, sparsity := range f.sparsity {
		c, err := compress.Parse(fmt.Sprintf("topk:%g", sparsity))
		if err != nil {
			return err
		}
		level, err := sdk.Compress(ctx, net, sdk.Calibration{}, c)
		if err != nil {
			return err
		}
		row.Sparsity = sparsity
		if err := newBenchFiles(ctx, level, peer, dir).measure(&row, f.rounds); err != nil {
			return err
		}
		if err := a.print(row); err != nil {
			return err
		}
	}
	return nil
}

// check returns a usage error unless the flags are in range.
func (f benchFileFlags) check() error {
	for _, s := range f.sparsity {
		if err := requireFlag(s >= 0 && s <= 1, "sparsity", "fractions from 0 to 1", s); err != nil {
			return err
		}
	}
	return cmp.Or(checkModel(f.model), atLeast(1, "rounds", f.rounds))
}

// random returns a model for 1,000 classes with random initial weights.
func random(name string) (*sdk.Network, error) {
	m, input, err := models.New(name, 1000)
	if err != nil {
		return nil, err
	}
	decls, _, err := nn.Declare(m, input)
	if err != nil {
		return nil, err
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		return nil, err
	}
	return sdk.FromWeights(m, sdk.Info{Model: name, Recipe: "random weights", Inputs: []sdk.Port{{Shape: input.Batch().Shape}}}, weights)
}
