package progress_test

import (
	"context"
	"log"
	"os"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/progress"
)

// A training that shows its progress on standard error.
func ExampleNew() {
	train, err := data.Shapes(100, 0)
	if err != nil {
		log.Fatal(err)
	}
	show := progress.New(os.Stderr)
	defer show.Close()
	t := sdk.Trainer{Model: models.SmallCNN(10), Epochs: 1, Batch: 50, OnStep: show.Step, OnEpoch: show.Epoch}
	if _, err := t.Fit(context.Background(), train, nil); err != nil {
		log.Fatal(err)
	}
	// Output:
}
