package nn_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// The 3×3 convolution with stride 2 that halves an image.
func ExampleConv2D() {
	layer := nn.Conv2D{Out: 16, Kernel: 3, Stride: 2, Padding: 1, NoBias: true}
	decls, output, err := nn.Declare(layer, graph.Batch(3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, "->", output)
	// Output: weight f32[16 3 3 3] -> f32[N 16 16 16]
}

func ExampleLinear() {
	decls, output, err := nn.Declare(nn.Linear{Out: 10}, graph.Batch(64))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decls {
		fmt.Println(d.Name, d.Type)
	}
	fmt.Println(output)
	// Output:
	// weight f32[10 64]
	// bias f32[10]
	// f32[N 10]
}

// The statistics are part of the declarations.
func ExampleBatchNorm() {
	decls, _, err := nn.Declare(nn.BatchNorm{}, graph.Batch(16, 8, 8))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decls {
		fmt.Println(d.Kind, d.Name, d.Type)
	}
	// Output:
	// param weight f32[16]
	// param bias f32[16]
	// stat running_mean f32[16]
	// stat running_var f32[16]
}

func ExampleLayerNorm() {
	_, output, err := nn.Declare(nn.LayerNorm{}, graph.Batch(12, 64))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 12 64]
}

// Indices that are fed as floats are cast first.
func ExampleEmbedding() {
	model := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Apply("table", nn.Embedding{Rows: 1000, Dim: 64}, p.Cast(x, array.I32))
	})
	decls, output, err := nn.Declare(model, graph.Batch(12))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, "->", output)
	// Output: table.weight f32[1000 64] -> f32[N 12 64]
}

func ExampleMaxPool() {
	_, output, err := nn.Declare(nn.MaxPool{Kernel: 3, Stride: 2, Padding: 1}, graph.Batch(64, 112, 112))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 64 56 56]
}

func ExampleAvgPool() {
	_, output, err := nn.Declare(nn.AvgPool{Kernel: 2}, graph.Batch(64, 8, 8))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 64 4 4]
}

// A multilayer perceptron with dropout.
func ExampleDropout() {
	model := nn.Sequential{nn.Linear{Out: 100}, nn.Func(nn.ReLU), nn.Dropout{P: 0.5}, nn.Linear{Out: 10}}
	decls, output, err := nn.Declare(model, graph.Batch(784))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decls {
		fmt.Println(d.Name, d.Type)
	}
	fmt.Println(output)
	// Output:
	// 0.weight f32[100 784]
	// 0.bias f32[100]
	// 3.weight f32[10 100]
	// 3.bias f32[10]
	// f32[N 10]
}

func ExampleSequential() {
	model := nn.Sequential{
		nn.Conv2D{Out: 8, Kernel: 3, Padding: 1},
		nn.Func(nn.ReLU),
		nn.Func(nn.GlobalAvgPool),
		nn.Linear{Out: 10},
	}
	decls, output, err := nn.Declare(model, graph.Batch(3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[2].Name, output)
	// Output: 0.weight 3.weight f32[N 10]
}

// Functions become layers by Func.
func ExampleFunc() {
	for _, f := range []nn.Func{nn.ReLU, nn.ReLU6, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Flatten, nn.GlobalAvgPool} {
		_, output, err := nn.Declare(f, graph.Batch(16, 4, 4))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(output)
	}
	// Output:
	// f32[N 16 4 4]
	// f32[N 16 4 4]
	// f32[N 16 4 4]
	// f32[N 16 4 4]
	// f32[N 16 4 4]
	// f32[N 256]
	// f32[N 16]
}

// A convolution whose weights and bias begin as in torchvision's VGG.
func ExampleInit() {
	layer := nn.Conv2D{Out: 64, Kernel: 3, Padding: 1, Init: nn.KaimingNormal, BiasInit: nn.Constant(0)}
	decls, _, err := nn.Declare(layer, graph.Batch(3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	values, err := nn.Initial(decls, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values["bias"].F32()[:3])
	// Output: [0 0 0]
}
