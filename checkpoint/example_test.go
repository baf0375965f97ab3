package checkpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/graph"
)

// levels returns one weight at two levels of sparsity.
func levels() []checkpoint.Level {
	weight := func(data ...float32) graph.Value {
		t, err := graph.FromF32(data, 2, 8)
		if err != nil {
			log.Fatal(err)
		}
		v, err := t.Smallest()
		if err != nil {
			log.Fatal(err)
		}
		return v
	}
	return []checkpoint.Level{
		{Name: "dense", Tensors: map[string]graph.Value{"fc.weight": weight(.1, .9, -.2, .3, -.8, .1, .2, .4, -.1, .2, .7, .1, -.3, .1, .6, .2)}},
		{Name: "topk:0.75", Tensors: map[string]graph.Value{"fc.weight": weight(0, .9, 0, 0, -.8, 0, 0, 0, 0, 0, .7, 0, 0, 0, .6, 0)}},
	}
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.cram")
	if err := checkpoint.Save(path, &checkpoint.File{Meta: checkpoint.Meta{Model: "mlp"}, Levels: levels()}); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.Meta().Model, r.Levels())
	_, err = r.Level("")
	fmt.Println(err)
	// Output:
	// mlp [dense topk:0.75]
	// checkpoint: the file has 2 levels, name one of dense, topk:0.75
}

// What is read from a mapped file stays when the mapping ends.
func ExampleOpenMapped() {
	path, remove := saved()
	defer remove()
	r, err := checkpoint.OpenMapped(path)
	if err != nil {
		log.Fatal(err)
	}
	level, err := r.Level("topk:0.75")
	if err := errors.Join(err, r.Close()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(level.Tensors["fc.weight"].Stored(), "weights")
	// Output: 4 weights
}

func ExampleOpenFS() {
	path, remove := saved()
	defer remove()
	r, err := checkpoint.OpenFS(os.DirFS(filepath.Dir(path)), "net.cram")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.Levels())
	// Output: [dense topk:0.75]
}

// saved saves the levels to a file in a folder of its own.
func saved() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "net.cram")
	if err := checkpoint.Save(path, &checkpoint.File{Levels: levels()}); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func ExampleReader_Tensors() {
	var file bytes.Buffer
	if err := checkpoint.Write(&file, &checkpoint.File{Levels: levels()}); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range r.Levels() {
		list, err := r.Tensors(name)
		if err != nil {
			log.Fatal(err)
		}
		for _, t := range list {
			fmt.Printf("%-9s  %s %v%v  %s, %.0f %% zeros, %d bytes\n", name, t.Name, t.DType, t.Dims, t.Encoding, 100*t.Sparsity, t.Bytes)
		}
	}
	fmt.Println("intact:", r.Verify() == nil)
	// Output:
	// dense      fc.weight f32[2 8]  dense, 0 % zeros, 66 bytes
	// topk:0.75  fc.weight f32[2 8]  bitmask, 75 % zeros, 18 bytes
	// intact: true
}

func ExampleReader_Level() {
	var file bytes.Buffer
	if err := checkpoint.Write(&file, &checkpoint.File{Levels: levels()}); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	level, err := r.Level("topk:0.75")
	if err != nil {
		log.Fatal(err)
	}
	weight := level.Tensors["fc.weight"] // still encoded
	fmt.Println(weight.Encoding, weight.Stored(), "of", weight.Len())
	t, err := weight.Decode()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.F32())
	// Output:
	// bitmask 4 of 16
	// [0 0.9 0 0 -0.8 0 0 0 0 0 0.7 0 0 0 0.6 0]
}
