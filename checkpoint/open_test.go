package checkpoint

import (
	"path/filepath"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// BenchmarkOpen reads a ResNet-50 of random weights, dense and pruned, from a file in the system's
// cache: opened for each reading, and opened once.
func BenchmarkOpen(b *testing.B) {
	decls, _, err := nn.Declare(models.ResNet50(1000), graph.Floats("x", 3, 224, 224))
	if err != nil {
		b.Fatal(err)
	}
	tensors := map[string]array.Tensor{}
	for i, d := range decls {
		dims, _ := d.Shape.Dims()
		tensors[d.Name] = random(b, uint32(i), dims...)
	}
	for _, sparsity := range []float64{0, .9} {
		level := pruned(b, tensors, sparsity)
		path := filepath.Join(b.TempDir(), "net.cram")
		if err := Save(path, &File{Levels: []Level{level}}); err != nil {
			b.Fatal(err)
		}
		bytes := int64(0)
		for _, v := range level.Tensors {
			bytes += int64(v.Bytes())
		}
		read := func(b *testing.B, r *Reader) {
			if _, err := r.Level(""); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(level.Name+"/once", func(b *testing.B) {
			b.SetBytes(bytes)
			for b.Loop() {
				r, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				read(b, r)
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(level.Name+"/again", func(b *testing.B) {
			b.SetBytes(bytes)
			r, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			read(b, r)
			for b.Loop() {
				read(b, r)
			}
		})
	}
}
