// Tour trains a network, prunes it and evaluates the pruned network from its file. It is the
// program in README.md.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

func main() {
	ctx := context.Background()
	if err := train(ctx, "shapes.cram"); err != nil {
		log.Fatal(err)
	}
	if err := evaluate(ctx, "shapes.cram"); err != nil {
		log.Fatal(err)
	}
}

// train writes a file with the network at three levels: dense, 80 % and 90 % zeros.
func train(ctx context.Context, path string) error {
	examples, err := data.Shapes(6000, 1) // images of ten shapes, which the package draws
	if err != nil {
		return err
	}
	trainer := sdk.Trainer{
		Model:  models.SmallCNN(10),
		Method: optim.CrAMPlus(0.05, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
		Epochs: 6,
		Batch:  64,
		Log:    slog.Default(), // a line for each epoch
	}
	trained, err := trainer.Fit(ctx, examples, nil)
	if err != nil {
		return err
	}
	calibration := sdk.Calibration{Set: examples}
	pruned, err := sdk.Compress(ctx, trained, calibration,
		compress.Identity{}, compress.TopK(.8), compress.TopK(.9))
	if err != nil {
		return err
	}
	return pruned.Save(path)
}

// evaluate needs the file, and no code of the model.
func evaluate(ctx context.Context, path string) error {
	p, err := sdk.LoadSparse(ctx, path, sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		return err
	}
	defer p.Close()
	test, err := data.Shapes(1000, 2)
	if err != nil {
		return err
	}
	score, err := p.Evaluate(ctx, test, 100)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %.0f %% of %d test images are right\n", p.Level(), 100*score.Values["accuracy"], score.Examples)
	return nil
}
