package sdk_test

import (
	"context"
	"embed"
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk"
)

//go:embed testdata/shapes.cram
var networks embed.FS

// The network is part of the program: a file of an embed.FS.
func ExampleLoadSparseFS() {
	p, err := sdk.LoadSparseFS(context.Background(), networks, "testdata/shapes.cram", sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Level(), p.Info().Input().Example())
	// Output: topk:0.9 [3 24 24]
}
