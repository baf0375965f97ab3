// Own-model trains a model that is defined in this file, prunes it, and writes own.cram. The
// program examples/service serves the file without this code.
//
//	go run github.com/compressaware/cram/examples/own-model
//	go run github.com/compressaware/cram/examples/service -level topk:0.8 own.cram
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
	"github.com/compressaware/cram/sdk/progress"
)

// net is a small network with squeeze-and-excitation (https://arxiv.org/abs/1709.01507). A model
// needs no method but Forward: all programs, for training and for serving, are traced from it.
type net struct {
	widths  []int
	classes int
}

func (n net) Forward(p *nn.Pass, x graph.Node) graph.Node {
	for i, width := range n.widths {
		x = p.Apply(fmt.Sprintf("stage%d", i+1), stage{width, i > 0}, x)
	}
	return p.Apply("fc", nn.Linear{Out: n.classes}, nn.GlobalAvgPool(p, x))
}

// stage is a convolution whose channels are then multiplied by gates. A gate is a function of the
// whole image.
type stage struct {
	width int
	halve bool
}

func (s stage) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("conv", nn.Conv2D{Out: s.width, Kernel: 3, Padding: 1, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn", nn.BatchNorm{}, x))
	gate := nn.ReLU(p, p.Apply("squeeze", nn.Linear{Out: s.width / 4}, nn.GlobalAvgPool(p, x)))
	gate = nn.Sigmoid(p, p.Apply("excite", nn.Linear{Out: s.width}, gate))
	x = p.Mul(x, p.Reshape(gate, graph.Batch(s.width, 1, 1)))
	if s.halve {
		x = p.Apply("pool", nn.MaxPool{Kernel: 2}, x)
	}
	return x
}

func main() {
	out := flag.String("out", "own.cram", "file to write")
	epochs := flag.Int("epochs", 6, "passes over the training images")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	defer stop()
	if err := train(ctx, *out, *epochs); err != nil {
		log.Fatal(err)
	}
}

// train writes a file with three levels: 80 % zeros, 2 of each 4 consecutive weights, and dense. It
// prints the test accuracy of each.
func train(ctx context.Context, out string, epochs int) error {
	set, err := data.Lookup("shapes")
	if err != nil {
		return err
	}
	examples, err := set.Open("", data.Train)
	if err != nil {
		return err
	}
	test, err := set.Open("", data.Test)
	if err != nil {
		return err
	}
	pruned := []compress.Compressor{compress.TopK(.8), compress.NM{N: 2, M: 4}}
	show := progress.New(os.Stderr)
	defer show.Close()
	t := sdk.Trainer{
		Model:     net{widths: []int{16, 32, 32}, classes: len(examples.Classes())},
		Method:    optim.CrAMPlus(0.05, pruned...),
		Optimizer: optim.AdamW{WeightDecay: 0.01},
		Schedule:  optim.Cosine{Peak: 0.003, WarmupEpochs: 1},
		Epochs:    epochs, Batch: 64, Seed: 1,
		Normalize: set.Normalize,
		OnStep:    show.Step, OnEpoch: show.Epoch,
		Info: sdk.Info{Model: "squeeze-and-excitation", Data: "shapes"},
	}
	trained, err := t.Fit(ctx, examples, test)
	if err != nil {
		return err
	}
	small, err := sdk.Compress(ctx, trained, sdk.Calibration{Set: examples}, append(pruned, compress.Identity{})...)
	if err != nil {
		return err
	}
	for _, level := range small.Levels() {
		p, err := small.Predictor(ctx, sdk.PredictorOptions{Level: level})
		if err != nil {
			return err
		}
		score, err := p.Evaluate(ctx, test, 100)
		if err != nil {
			return err
		}
		fmt.Printf("%-9s %.1f %%\n", level, 100*score.Values["accuracy"])
		if err := p.Close(); err != nil {
			return err
		}
	}
	return small.Save(out)
}
