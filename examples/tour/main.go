// Tour is the program that README.md shows: train once, prune to two levels, save, serve the sparser one.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

func main() {
	ctx := context.Background()
	train, test := must(data.Shapes(6000, 1)), must(data.Shapes(1000, 2))
	trained := must(sdk.Trainer{
		Model:  models.SmallCNN(10),
		Method: optim.CrAMPlus(0.2, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
		Epochs: 6, Batch: 64,
	}.Fit(ctx, train, nil))
	pruned := must(sdk.Compress(ctx, trained, sdk.Calibration{Set: train}, compress.TopK(.8), compress.TopK(.9)))
	if err := pruned.Save("shapes.cram"); err != nil {
		log.Fatal(err)
	}
	p := must(sdk.LoadSparse("shapes.cram", sdk.Level("topk:0.9"))) // no model code from here on
	score := must(p.Evaluate(ctx, test, 100))
	fmt.Printf("%s: %.0f %% of %d test images right\n", p.Level(), 100*score.Accuracy, score.Examples)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
