package main

import (
	"context"
	"fmt"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// The functions of this file are parts of docs/guide.md. The tests call them.

// settings is the recipe of the paper for ResNet-20 on CIFAR-10.
func settings() sdk.Trainer {
	return sdk.Trainer{
		Model: models.ResNet20(10),
		Method: optim.CrAMPlus(0.2, // ρ
			compress.TopK(.3), compress.TopK(.4), compress.TopK(.5), compress.TopK(.6),
			compress.TopK(.7), compress.TopK(.8), compress.TopK(.9)),
		Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 5e-4},
		Schedule:  optim.Cosine{Peak: 0.1, WarmupEpochs: 5},
		Epochs:    200,
		Batch:     128,
		Seed:      10,
		Augment:   []data.Transform{data.RandomCrop{Padding: 4}, data.RandomHorizontalFlip{}},
		Normalize: data.Normalize{
			Mean: []float32{0.4914, 0.4822, 0.4465},
			Std:  []float32{0.2023, 0.1994, 0.2010},
		},
		Checkpoint: sdk.CheckpointOptions{Path: "cifar10.cram.part"},
	}
}

// compareLevels prunes a trained network to several levels and prints the accuracy of each.
func compareLevels(ctx context.Context, trained *sdk.Network, train, test data.Set) (*sdk.Network, error) {
	pruned, err := sdk.Compress(ctx, trained, sdk.Calibration{Set: train},
		compress.Identity{}, compress.TopK(.8), compress.TopK(.9), compress.NM{N: 2, M: 4},
		compress.Except(compress.TopK(.9), "fc.weight"))
	if err != nil {
		return nil, err
	}
	for _, level := range pruned.Levels() {
		p, err := pruned.Predictor(ctx, sdk.PredictorOptions{Level: level})
		if err != nil {
			return nil, err
		}
		score, err := p.Evaluate(ctx, test, 100)
		if err != nil {
			return nil, err
		}
		fmt.Printf("%-30s %.1f %%\n", level, 100*score.Values["accuracy"])
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	return pruned, nil
}

// checkSparsity prints how many weights of each tensor a level keeps.
func checkSparsity(pruned *sdk.Network) error {
	report, err := pruned.Report("topk:0.9")
	if err != nil {
		return err
	}
	fmt.Print(report)
	return nil
}
