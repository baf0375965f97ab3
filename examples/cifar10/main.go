// Cifar10 trains ResNet-20 on CIFAR-10, prunes it one-shot to several levels, and prints one row of
// a table: the test accuracy of each level after batch-norm tuning, and in brackets without tuning.
//
//	cram data fetch cifar10 --data-dir DIR
//	go run github.com/compressaware/cram/examples/cifar10 -data DIR -method cram+ -rho 0.2 -seed 10
//
// The recipe is that of the CrAM paper (https://arxiv.org/abs/2207.14200), with 8 epochs by default
// instead of 200. After an interruption, the same command resumes the training.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
	"github.com/compressaware/cram/sdk/progress"
)

var (
	// trained are the compressors of a CrAM step, which draws one of them.
	trained = []compress.Compressor{
		compress.TopK(.3), compress.TopK(.4), compress.TopK(.5), compress.TopK(.6),
		compress.TopK(.7), compress.TopK(.8), compress.TopK(.9),
	}
	// measured are the columns of the table.
	measured = []compress.Compressor{
		compress.Identity{}, compress.TopK(.5), compress.TopK(.7), compress.TopK(.8),
		compress.TopK(.9), compress.TopK(.95),
	}
)

func main() {
	dir := flag.String("data", ".", "directory that contains cifar-10-batches-bin")
	name := flag.String("method", "cram+", "sgd, sam, cram, cram+ or one-pass")
	rho := flag.Float64("rho", 0.2, "factor ρ of the gradient in the ascent; for sam the length of the ascent")
	seed := flag.Uint64("seed", 10, "seed of initial weights, data order, augmentation and draws")
	epochs := flag.Int("epochs", 8, "passes over the training images")
	out := flag.String("out", "cifar10.cram", "file to write, with the dense network")
	flag.Parse()
	method, err := methodOf(*name, *rho)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	defer stop()
	if err := run(ctx, *dir, *out, method, *seed, *epochs); err != nil {
		log.Fatal(err)
	}
}

// methodOf returns the method of a name. The method one-pass computes one gradient a step, at
// weights that are compressed by one of the trained compressors or not at all.
func methodOf(name string, rho float64) (optim.Method, error) {
	switch name {
	case "sgd":
		return optim.Plain(), nil
	case "sam":
		return optim.SAM(rho), nil
	case "cram":
		return optim.CrAM(rho, trained...), nil
	case "cram+":
		return optim.CrAMPlus(rho, trained...), nil
	case "one-pass":
		set := append([]compress.Compressor{compress.Identity{}}, trained...)
		return optim.Method{Name: "one-pass", Points: []optim.Point{{Compress: set}}, Mix: []float64{1}}, nil
	}
	return optim.Method{}, fmt.Errorf("want method sgd, sam, cram, cram+ or one-pass, got %q", name)
}

// run trains, writes the dense network to out, and prints the row.
func run(ctx context.Context, dir, out string, method optim.Method, seed uint64, epochs int) error {
	set, err := data.Lookup("cifar10")
	if err != nil {
		return err
	}
	train, err := set.Open(dir, data.Train)
	if err != nil {
		return err
	}
	test, err := set.Open(dir, data.Test)
	if err != nil {
		return err
	}
	show := progress.New(os.Stderr)
	defer show.Close()
	t := sdk.Trainer{
		Model:     models.ResNet20(10),
		Method:    method,
		Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 5e-4},
		Schedule:  optim.Cosine{Peak: 0.1, WarmupEpochs: 1},
		Epochs:    epochs, Batch: 128, Seed: seed,
		Augment: set.Augment, Normalize: set.Normalize,
		Checkpoint: sdk.CheckpointOptions{Path: out + ".part"},
		OnStep:     show.Step, OnEpoch: show.Epoch,
		Info: sdk.Info{Model: "resnet20", Data: "cifar10"},
	}
	net, err := t.Fit(ctx, train, test)
	if err != nil {
		return err
	}
	if err := net.Save(out); err != nil {
		return err
	}
	if err := os.Remove(t.Checkpoint.Path); err != nil {
		return err
	}
	tuned, err := accuracies(ctx, net, sdk.Calibration{Set: train, Augment: set.Augment, Seed: seed}, test)
	if err != nil {
		return err
	}
	untuned, err := accuracies(ctx, net, sdk.Calibration{}, test)
	if err != nil {
		return err
	}
	fmt.Println(table(fmt.Sprintf("%v, seed %d, %d epochs", method, seed, epochs), tuned, untuned))
	return nil
}

// accuracies prunes the network to each measured level and returns the test accuracies, 0 to 1.
func accuracies(ctx context.Context, net *sdk.Network, c sdk.Calibration, test data.Set) ([]float64, error) {
	pruned, err := sdk.Compress(ctx, net, c, measured...)
	if err != nil {
		return nil, err
	}
	var row []float64
	for _, level := range pruned.Levels() {
		p, err := pruned.Predictor(ctx, sdk.PredictorOptions{Level: level})
		if err != nil {
			return nil, err
		}
		score, err := p.Evaluate(ctx, test, 100)
		if err != nil {
			return nil, err
		}
		row = append(row, score.Values["accuracy"])
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// table returns a table of one row in Markdown. The dense level is never tuned, so it has one
// value.
func table(name string, tuned, untuned []float64) string {
	header, rule, row := "| |", "|---|", "| "+name+" |"
	for i, level := range measured {
		header += " " + level.String() + " |"
		rule += "---|"
		row += fmt.Sprintf(" %.2f", 100*tuned[i])
		if _, dense := level.(compress.Identity); !dense {
			row += fmt.Sprintf(" (%.2f)", 100*untuned[i])
		}
		row += " |"
	}
	return strings.Join([]string{header, rule, row}, "\n")
}
