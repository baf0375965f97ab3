package checkpoint_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// levels returns one weight at two levels of sparsity.
func levels() []checkpoint.Level {
	weight := func(data ...float32) array.Value {
		t, err := array.From(data, 2, 8)
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
		{Name: "dense", Tensors: map[string]array.Value{"fc.weight": weight(.1, .9, -.2, .3, -.8, .1, .2, .4, -.1, .2, .7, .1, -.3, .1, .6, .2)}},
		{Name: "topk:0.75", Tensors: map[string]array.Value{"fc.weight": weight(0, .9, 0, 0, -.8, 0, 0, 0, 0, 0, .7, 0, 0, 0, .6, 0)}},
	}
}

func ExampleSave() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.cram")
	if err := checkpoint.Save(path, &checkpoint.File{Info: checkpoint.Info{Model: "mlp"}, Levels: levels()}); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.Info().Model, r.Levels())
	_, err = r.Level("")
	fmt.Println(err)
	// Output:
	// mlp [dense topk:0.75]
	// checkpoint: the file has 2 levels, name one of dense, topk:0.75
}

func ExampleReader_LevelInfo() {
	file := written(&checkpoint.File{Levels: levels()})
	r, err := checkpoint.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range r.Levels() {
		info, err := r.LevelInfo(name)
		if err != nil {
			log.Fatal(err)
		}
		for _, t := range info.Tensors {
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
	file := written(&checkpoint.File{Levels: levels()})
	r, err := checkpoint.NewReader(bytes.NewReader(file), int64(len(file)))
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

// A file contains several levels with their notes, the programs that run them, and the state of a
// training.
func ExampleReader_File() {
	all := levels()
	all[1].Notes = map[string]string{"fc.bias": "not pruned"}
	file := written(&checkpoint.File{
		Programs: map[string]*graph.Program{"infer": linear()},
		Levels:   all,
		State:    &checkpoint.State{Ints: map[string]int64{"step": 3}},
	})
	r, err := checkpoint.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		log.Fatal(err)
	}
	f, err := r.File()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(f.Levels), "levels,", len(f.Programs), "program, step", f.State.Ints["step"])
	// Output: 2 levels, 1 program, step 3
}

// A file without a training in progress has no state.
func ExampleReader_State() {
	for _, state := range []*checkpoint.State{{Ints: map[string]int64{"step": 3}}, nil} {
		file := written(&checkpoint.File{State: state})
		r, err := checkpoint.NewReader(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			log.Fatal(err)
		}
		s, err := r.State()
		if err != nil {
			log.Fatal(err)
		}
		if s != nil {
			fmt.Println("step", s.Ints["step"])
		} else {
			fmt.Println("no training")
		}
	}
	// Output:
	// step 3
	// no training
}

func ExampleReader_Program() {
	file := written(&checkpoint.File{Programs: map[string]*graph.Program{"infer": linear()}})
	r, err := checkpoint.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		log.Fatal(err)
	}
	p, err := r.Program("infer")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range p.Slots {
		fmt.Println(r.Programs(), "wants", s.Name, s.Type.DType, s.Type.Shape)
	}
	// Output: [infer] wants fc.weight f32 [2 8]
}

// linear returns the program of a layer of 2 outputs.
func linear() *graph.Program {
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(8))
	w := b.Slot(graph.Slot{Name: "fc.weight", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(2, 8)}})
	b.Output("logits", b.MatMul(x, w, false, true))
	p, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	return p
}

// written returns the bytes of a file.
func written(f *checkpoint.File) []byte {
	var file bytes.Buffer
	if err := checkpoint.Write(&file, f); err != nil {
		log.Fatal(err)
	}
	return file.Bytes()
}
