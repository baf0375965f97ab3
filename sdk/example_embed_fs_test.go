package sdk_test

import (
	"embed"
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk"
)

//go:embed testdata/shapes.cram
var networks embed.FS

// Any file system serves: a folder, a zip archive, here an embed.FS, which may carry several networks.
func ExampleLoadSparseFS() {
	p, err := sdk.LoadSparseFS(networks, "testdata/shapes.cram", sdk.Level("topk:0.9"))
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Level(), p.Info().Input().Example())
	// Output: topk:0.9 [3 24 24]
}
