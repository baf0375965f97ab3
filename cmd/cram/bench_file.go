package main

import (
	"context"
	"fmt"
	"os"
	"strings"

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
		Short: "Compare sizes of files, and time saving, loading and serving",
		Long: `Write a model with random weights, dense and pruned by global magnitude, as a checkpoint of one level, as safetensors, and as gzip
of the safetensors, and print the sizes. Then time, in rounds in which everything takes its turn, there and back, and print medians of:

  save    write the checkpoint under a name that is free, and flush it to the disk
  load    read it into encoded tensors and check all of it
  serve   make a Predictor of the file, beside reading its bytes and repacking, that is making one of the encoded tensors in memory

Files are read from the page cache. PEER is a command to time beside. It prints a line that names it; then, for each line "load PATH" or
"save PATH" of its standard input, it loads the safetensors file, or saves what it loaded last and flushes it, and prints the seconds
that took.`,
		Example: `  cram bench file --model resnet50 --sparsity 0.8,0.9,0.95
  cram bench file -- python3 .ci/safetensors_peer.py`,
		RunE: a.action(func(ctx context.Context, peer []string) error { return a.runBenchFile(ctx, f, peer) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.model, "model", "resnet50", "network: "+strings.Join(models.Names(), ", "))
	fs.Float64SliceVar(&f.sparsity, "sparsity", []float64{0, 0.8, 0.9, 0.95}, "fractions of zeros")
	fs.IntVar(&f.rounds, "rounds", 5, "rounds")
	return cmd
}

// A fileRow is one row of bench file. Times are medians in seconds.
type fileRow struct {
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

	Peer     string  `json:"peer,omitempty"` // its own name
	PeerSave float64 `json:"peer_save_s,omitempty"`
	PeerLoad float64 `json:"peer_load_s,omitempty"`
}

func (r fileRow) text() string {
	time := func(s float64, bytes int64) string {
		return fmt.Sprintf("%.1f ms (%.0f MB/s)", 1e3*s, float64(bytes)/1e6/s)
	}
	beside := func(s, peer float64) string {
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
		r.Model, 100*r.Sparsity, share(r.Bytes), size(r.Dense), share(r.Gzip), beside(r.Save, r.PeerSave), beside(r.Load, r.PeerLoad),
		1e3*r.Serve, r.Serve/(r.Read+r.Repack), 1e3*r.Read, 1e3*r.Repack)
}

func (a *app) runBenchFile(ctx context.Context, f benchFileFlags, command []string) error {
	if f.rounds < 1 {
		return usagef("--rounds is %d, must be at least 1", f.rounds)
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
	row := fileRow{Model: f.model}
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
			return usageError{err}
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
	return sdk.FromWeights(m, sdk.Info{Model: name, Recipe: "random weights", Inputs: []sdk.Port{{Shape: shape}}}, weights)
}
