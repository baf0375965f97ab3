// Train trains a network with the compressor of a plugin and saves it.
//
//	go build -o small . && go run ./train ./small net.cram
package main

import (
	"context"
	"log"
	"os"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("want two arguments, the plugin and the file to write, for example: ./small net.cram")
	}
	if err := train(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func train(ctx context.Context, program, file string) error {
	c, err := plugins.LaunchCompressor(ctx, plugins.Command{Path: program, Args: []string{"0.01"}})
	if err != nil {
		return err
	}
	defer c.Close()
	set, err := data.Shapes(1000, 1)
	if err != nil {
		return err
	}
	trainer := sdk.Trainer{Model: models.SmallCNN(10), Epochs: 1, Batch: 32, Method: optim.CrAMPlus(0.05, c)}
	net, err := trainer.Fit(ctx, set, nil)
	if err != nil {
		return err
	}
	return net.Save(file)
}
