package nn_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// The 3×3 convolution with stride 2 that halves an image.
func ExampleConv2D() {
	layer := nn.Conv2D{Out: 16, Kernel: 3, Stride: 2, Padding: 1, NoBias: true}
	decls, output, err := nn.Declare(layer, graph.Floats("x", 3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, "->", output)
	// Output: weight f32[16 3 3 3] -> f32[N 16 16 16]
}

func ExampleLinear() {
	decls, output, err := nn.Declare(nn.Linear{Out: 10}, graph.Floats("x", 64))
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
	decls, _, err := nn.Declare(nn.BatchNorm{}, graph.Floats("x", 16, 8, 8))
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
	_, output, err := nn.Declare(nn.LayerNorm{}, graph.Floats("x", 12, 64))
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
	decls, output, err := nn.Declare(model, graph.Floats("x", 12))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, "->", output)
	// Output: table.weight f32[1000 64] -> f32[N 12 64]
}

func ExampleMaxPool() {
	_, output, err := nn.Declare(nn.MaxPool{Kernel: 3, Stride: 2, Padding: 1}, graph.Floats("x", 64, 112, 112))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 64 56 56]
}

func ExampleAvgPool() {
	_, output, err := nn.Declare(nn.AvgPool{Kernel: 2}, graph.Floats("x", 64, 8, 8))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 64 4 4]
}

// A multilayer perceptron with dropout.
func ExampleDropout() {
	model := nn.Sequential{nn.Linear{Out: 100}, nn.Func(nn.ReLU), nn.Dropout{P: 0.5}, nn.Linear{Out: 10}}
	decls, output, err := nn.Declare(model, graph.Floats("x", 784))
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
	decls, output, err := nn.Declare(model, graph.Floats("x", 3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[2].Name, output)
	// Output: 0.weight 3.weight f32[N 10]
}

// A new layer from a function: the sum of x and its square.
func ExampleFunc() {
	f := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node { return p.Add(x, p.Mul(x, x)) })
	fmt.Println(apply(f, 1, 2, 3))
	// Output: [2 6 12]
}

func ExampleReLU() {
	fmt.Println(apply(nn.Func(nn.ReLU), -1, 0, 2))
	// Output: [0 0 2]
}

func ExampleReLU6() {
	fmt.Println(apply(nn.Func(nn.ReLU6), -1, 2, 8))
	// Output: [0 2 6]
}

func ExampleGELU() {
	fmt.Printf("%.4f\n", apply(nn.Func(nn.GELU), -1, 0, 1))
	// Output: [-0.1587 0.0000 0.8413]
}

func ExampleSigmoid() {
	fmt.Printf("%.4f\n", apply(nn.Func(nn.Sigmoid), -1, 0, 1))
	// Output: [0.2689 0.5000 0.7311]
}

func ExampleTanh() {
	fmt.Printf("%.4f\n", apply(nn.Func(nn.Tanh), -1, 0, 1))
	// Output: [-0.7616 0.0000 0.7616]
}

func ExampleFlatten() {
	_, output, err := nn.Declare(nn.Func(nn.Flatten), graph.Floats("x", 16, 4, 4))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 256]
}

func ExampleGlobalAvgPool() {
	_, output, err := nn.Declare(nn.Func(nn.GlobalAvgPool), graph.Floats("x", 16, 4, 4))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(output)
	// Output: f32[N 16]
}

// Two examples of three classes. The logits of the second one do not prefer any class.
func ExampleCrossEntropy() {
	logits, err := array.From([]float32{4, 0, 0, 1, 1, 1}, 2, 3)
	if err != nil {
		log.Fatal(err)
	}
	classes, err := array.From([]int32{0, 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", lossOf(nn.CrossEntropy{}, logits, classes))
	// Output: 0.5673
}

func ExampleMSE() {
	outputs, err := array.From([]float32{1, 2}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	targets, err := array.From([]float32{1, 5}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lossOf(nn.MSE{}, outputs, targets))
	// Output: 4.5
}

// One example with three labels, of which the first and the third apply.
func ExampleBinaryCrossEntropy() {
	logits, err := array.From([]float32{3, -3, 0}, 1, 3)
	if err != nil {
		log.Fatal(err)
	}
	labels, err := array.From([]float32{1, 0, 1}, 1, 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.4f\n", lossOf(nn.BinaryCrossEntropy{}, logits, labels))
	// Output: 0.2634
}

// The mean absolute error.
func ExampleLossFunc() {
	mae := nn.LossFunc("mae", func(p *nn.Pass, output, target graph.Node) graph.Node {
		return p.Mean(p.Abs(p.Sub(output, target)), false)
	})
	outputs, err := array.From([]float32{1, 2}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	targets, err := array.From([]float32{1, 5}, 2, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(mae, lossOf(mae, outputs, targets))
	// Output: mae 1.5
}

// lossOf returns the loss of a batch of outputs and targets.
func lossOf(l nn.Loss, outputs, targets array.Tensor) float32 {
	b := graph.NewBuilder()
	output := b.Input("output", outputs.DType, graph.Batch(outputs.Dims[1:]...))
	target := b.Input("target", targets.DType, graph.Batch(targets.Dims[1:]...))
	b.Output("loss", l.Loss(nn.NewPass(b, nn.Train), output, target))
	return run(b, outputs, targets)[0]
}

// apply returns the output of a model for a batch of one vector.
func apply(m nn.Model, x ...float32) []float32 {
	b := graph.NewBuilder()
	p := nn.NewPass(b, nn.Infer)
	b.Output("y", m.Forward(p, b.Input("x", array.F32, graph.Batch(len(x)))))
	input, err := array.From(x, 1, len(x))
	if err != nil {
		log.Fatal(err)
	}
	return run(b, input)
}

// run returns the elements of the output of a program without slots.
func run(b *graph.Builder, inputs ...array.Tensor) []float32 {
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	session, err := reference.New().NewSession(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	executable, err := session.Compile(ctx, program, backends.Options{})
	if err != nil {
		log.Fatal(err)
	}
	out, err := executable.Run(ctx, inputs, nil)
	if err != nil {
		log.Fatal(err)
	}
	return out[0].F32()
}

// A convolution whose weights and bias begin as in torchvision's VGG.
func ExampleInit() {
	layer := nn.Conv2D{Out: 64, Kernel: 3, Padding: 1, Init: nn.KaimingNormal, BiasInit: nn.Constant(0)}
	decls, _, err := nn.Declare(layer, graph.Floats("x", 3, 32, 32))
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

func ExampleConstant() {
	fmt.Println(draw(nn.Constant(0.5), 3))
	// Output: [0.5 0.5 0.5]
}

func ExampleUniform() {
	fmt.Printf("%.4f\n", draw(nn.Uniform(0.1), 3))
	// Output: [0.0353 -0.0077 0.0017]
}

func ExampleNormal() {
	fmt.Printf("%.4f\n", draw(nn.Normal(0.01), 3))
	// Output: [0.0197 -0.0043 0.0034]
}

// The weights of a convolution from 3 to 1 channels have fan-in 27 and fan-out 9.
func ExampleKaimingUniform() {
	fmt.Printf("%.4f\n", draw(nn.KaimingUniform, 1, 3, 3, 3)[:3])
	// Output: [0.0679 -0.0149 0.0033]
}

func ExampleKaimingNormal() {
	fmt.Printf("%.4f\n", draw(nn.KaimingNormal, 1, 3, 3, 3)[:3])
	// Output: [0.9293 -0.2034 0.1593]
}

// draw returns initial values for a tensor of the given dimensions.
func draw(init nn.Init, dims ...int) []float32 {
	v := make([]float32, array.Count(dims))
	init(rand.New(rand.NewPCG(1, 2)), dims, v)
	return v
}
