// Quickstart trains one small network twice, with SGD and with CrAM+-Multi, prunes both one-shot,
// prints their accuracies, and makes predictions from the file of a pruned network. It draws its
// images and takes about a minute on two cores:
//
//	go run github.com/compressaware/cram/examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
	"github.com/compressaware/cram/sdk/progress"
)

// A recipe is one of the two trainings. They differ in the method only.
type recipe struct {
	name   string
	method optim.Method
}

var recipes = []recipe{
	{"SGD", optim.Plain()},
	{"CrAM+-Multi", optim.CrAMPlus(0.05, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9))},
}

// levels are the compressors to which each network is pruned after its training.
var levels = []compress.Compressor{
	compress.Identity{}, compress.TopK(.5), compress.TopK(.7), compress.TopK(.8), compress.TopK(.9),
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	defer stop()
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		log.Fatal(err)
	}
	_, err = run(ctx, dir, os.Stdout, os.Stderr)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

// run trains and prunes with both recipes, writes the files to dir, prints the table and some
// predictions, and returns the accuracies, 0 to 1, of each recipe at each level.
func run(ctx context.Context, dir string, stdout, stderr io.Writer) (map[string][]float64, error) {
	set, err := data.Lookup("shapes")
	if err != nil {
		return nil, err
	}
	train, err := set.Open("", data.Train)
	if err != nil {
		return nil, err
	}
	test, err := set.Open("", data.Test)
	if err != nil {
		return nil, err
	}
	table := map[string][]float64{}
	for _, r := range recipes {
		fmt.Fprintln(stderr, "training with", r.name)
		path := filepath.Join(dir, r.name+".cram")
		if err := trainAndPrune(ctx, r, set.Normalize, train, path, stderr); err != nil {
			return nil, err
		}
		if table[r.name], err = accuracies(ctx, path, test); err != nil {
			return nil, err
		}
	}
	printTable(stdout, table)
	return table, predict(ctx, filepath.Join(dir, "CrAM+-Multi.cram"), test, stdout)
}

// trainAndPrune writes a file with all levels.
func trainAndPrune(ctx context.Context, r recipe, n data.Normalize, train data.Set, path string, stderr io.Writer) error {
	show := progress.New(stderr)
	defer show.Close()
	t := sdk.Trainer{
		Model:     models.SmallCNN(10),
		Method:    r.method,
		Optimizer: optim.SGD{Momentum: 0.9},
		Schedule:  optim.Cosine{Peak: 0.1, WarmupEpochs: 1},
		Epochs:    6, Batch: 64, Seed: 2,
		Normalize: n,
		OnStep:    show.Step, OnEpoch: show.Epoch,
	}
	trained, err := t.Fit(ctx, train, nil)
	if err != nil {
		return err
	}
	pruned, err := sdk.Compress(ctx, trained, sdk.Calibration{Set: train}, levels...)
	if err != nil {
		return err
	}
	return pruned.Save(path)
}

// accuracies returns the test accuracy of every level of a file.
func accuracies(ctx context.Context, path string, test data.Set) ([]float64, error) {
	var row []float64
	for _, level := range levels {
		p, err := sdk.LoadSparse(ctx, path, sdk.PredictorOptions{Level: level.String()})
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

func printTable(w io.Writer, table map[string][]float64) {
	fmt.Fprint(w, "\naccuracy in %, pruned one-shot after training\n\n             ")
	for _, level := range levels {
		fmt.Fprintf(w, "%10s", level)
	}
	fmt.Fprintln(w)
	for _, r := range recipes {
		fmt.Fprintf(w, "%-13s", r.name)
		for _, accuracy := range table[r.name] {
			fmt.Fprintf(w, "%10.1f", 100*accuracy)
		}
		fmt.Fprintln(w)
	}
}

// predict classifies three test images with the sparsest level of a file. It needs no code of the
// model.
func predict(ctx context.Context, path string, test data.Set, w io.Writer) error {
	p, err := sdk.LoadSparse(ctx, path, sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		return err
	}
	defer p.Close()
	fmt.Fprintf(w, "\nCrAM+-Multi at %s:\n", p.Level())
	for i := range 3 {
		example, err := data.ReadExample(test, i)
		if err != nil {
			return err
		}
		classes, err := p.Classify(ctx, example.Inputs[0].F32(), 1)
		if err != nil {
			return err
		}
		want := test.Classes()[example.Targets[0].I32()[0]]
		fmt.Fprintf(w, "  a %s is taken for a %s\n", want, classes[0][0].Name)
	}
	return nil
}
