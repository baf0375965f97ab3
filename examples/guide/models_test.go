package main

import (
	"context"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// The functions of this file are parts of docs/guide.md. The tests call them.

// onePass computes one gradient in each step, at weights that one of the compressors has pruned.
func onePass() optim.Method {
	return optim.Method{
		Name: "one-pass",
		Points: []optim.Point{{Compress: []compress.Compressor{
			compress.Identity{}, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9),
		}}},
		Mix: []float64{1}, // the factor of the gradient of each point
	}
}

// regression trains a network that predicts a number, and returns its mean squared error. x has
// three float32 values for each example, y has one.
func regression(ctx context.Context, x, y []float32) (float64, error) {
	inputs, err := array.From(x, len(x)/3, 3)
	if err != nil {
		return 0, err
	}
	targets, err := array.From(y, len(y), 1) // [n 1], the shape of the output
	if err != nil {
		return 0, err
	}
	set, err := data.FromColumns(
		[]data.Column{{Name: "x", Values: inputs}},
		[]data.Column{{Name: "y", Values: targets}}, nil)
	if err != nil {
		return 0, err
	}
	trainer := sdk.Trainer{
		Model:     models.MLP{Hidden: []int{32, 32}, Classes: 1}, // one output
		Loss:      nn.MSE{},
		Method:    optim.CrAMPlus(0.05, compress.TopK(.5)),
		Optimizer: optim.AdamW{},
		Schedule:  optim.Cosine{Peak: 0.003, WarmupEpochs: 1},
		Epochs:    20,
		Batch:     32,
	}
	trained, err := trainer.Fit(ctx, set, nil)
	if err != nil {
		return 0, err
	}
	pruned, err := sdk.Compress(ctx, trained, sdk.Calibration{}, compress.TopK(.5))
	if err != nil {
		return 0, err
	}
	p, err := pruned.Predictor(ctx, sdk.PredictorOptions{})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	score, err := p.Evaluate(ctx, set, 100)
	if err != nil {
		return 0, err
	}
	return score.Values["mse"], nil
}

// twoInputs trains a classifier of token ids with a mask, and returns the logits of all examples.
// ids is i32 [n T]. mask is f32 [n T], 1 for a token and 0 for padding. labels is i32 [n].
func twoInputs(ctx context.Context, ids, mask, labels array.Tensor) (array.Tensor, error) {
	set, err := data.FromColumns(
		[]data.Column{{Name: "ids", Values: ids}, {Name: "mask", Values: mask}},
		[]data.Column{{Name: "label", Values: labels}}, []string{"negative", "positive"})
	if err != nil {
		return array.Tensor{}, err
	}
	model := nn.Func(func(p *nn.Pass, ids graph.Node) graph.Node {
		x := p.Apply("table", nn.Embedding{Rows: 100, Dim: 8}, ids)    // [N T 8]
		mask := p.Input("mask")                                        // [N T]
		mask = p.Reshape(mask, append(p.Shape(mask), graph.Dim{C: 1})) // [N T 1]
		x = p.Mul(x, mask)
		return p.Apply("fc", nn.Linear{Out: 2}, p.Sum(x, false, 1))
	})
	trainer := sdk.Trainer{
		Model:     model,
		Method:    optim.CrAMPlus(0.05, compress.TopK(.5)),
		Optimizer: optim.AdamW{},
		Schedule:  optim.Cosine{Peak: 0.003},
		Epochs:    2,
		Batch:     8,
	}
	trained, err := trainer.Fit(ctx, set, nil)
	if err != nil {
		return array.Tensor{}, err
	}
	p, err := trained.Predictor(ctx, sdk.PredictorOptions{})
	if err != nil {
		return array.Tensor{}, err
	}
	defer p.Close()
	outputs, err := p.PredictNamed(ctx, map[string]array.Tensor{"ids": ids, "mask": mask})
	if err != nil {
		return array.Tensor{}, err
	}
	return outputs[p.Info().Output().Name], nil
}

// fineTune trains the network of a file further and prunes the result. The file has a level "dense",
// or one level.
func fineTune(ctx context.Context, path string, train data.Set) (*sdk.Network, error) {
	net, err := sdk.Open(path)
	if err != nil {
		return nil, err
	}
	model, err := net.Model()
	if err != nil {
		return nil, err
	}
	trainer := sdk.Trainer{ // no Normalize: it is a part of the model
		Model:    model,
		Method:   optim.CrAMPlus(0.05, compress.TopK(.8), compress.TopK(.9)),
		Schedule: optim.Cosine{Peak: 0.01}, // a tenth of the first training
		Epochs:   2,
		Batch:    64,
	}
	trained, err := trainer.Fit(ctx, train, nil)
	if err != nil {
		return nil, err
	}
	return sdk.Compress(ctx, trained, sdk.Calibration{Set: train}, compress.Identity{}, compress.TopK(.9))
}

// newHead returns a model for another number of classes: the network of a file, and a new layer on
// its logits.
func newHead(path string, classes int) (sdk.Model, error) {
	net, err := sdk.Open(path)
	if err != nil {
		return nil, err
	}
	body, err := net.Model()
	if err != nil {
		return nil, err
	}
	return nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		x = nn.ReLU(p, p.Apply("body", body, x))
		return p.Apply("head", nn.Linear{Out: classes}, x)
	}), nil
}
