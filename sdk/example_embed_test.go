package sdk_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk"
)

//go:embed testdata/shapes.cram
var network []byte

// A program that carries its network in itself.
func ExampleLoadSparseFrom() {
	p, err := sdk.LoadSparseFrom(bytes.NewReader(network), int64(len(network)), sdk.Level("topk:0.9"))
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Level(), p.Info().Input().Example())
	// Output: topk:0.9 [3 24 24]
}
