package nn_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// tiny is a small residual network.
type tiny struct{ classes int }

func (n tiny) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("conv1", nn.Conv2D{Out: 16, Kernel: 3, Padding: 1, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn1", nn.BatchNorm{}, x))
	y := nn.ReLU(p, p.Apply("conv2", nn.Conv2D{Out: 16, Kernel: 3, Padding: 1}, x))
	return p.Apply("fc", nn.Linear{Out: n.classes}, nn.GlobalAvgPool(p, p.Add(x, y)))
}

func ExampleModel() {
	decls, output, err := nn.Declare(tiny{classes: 10}, graph.Floats("x", 3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decls {
		fmt.Println(d.Kind, d.Name, d.Type)
	}
	fmt.Println("output", output)
	// Output:
	// param conv1.weight f32[16 3 3 3]
	// param bn1.weight f32[16]
	// param bn1.bias f32[16]
	// stat bn1.running_mean f32[16]
	// stat bn1.running_var f32[16]
	// param conv2.weight f32[16 16 3 3]
	// param conv2.bias f32[16]
	// param fc.weight f32[10 16]
	// param fc.bias f32[10]
	// output f32[N 10]
}

// The error of Declare names the layer and the line of the mistake.
func ExampleDeclare() {
	_, _, err := nn.Declare(nn.Sequential{nn.Func(nn.Flatten), nn.Conv2D{Out: 8, Kernel: 3}}, graph.Floats("x", 3, 32, 32))
	fmt.Println(err != nil)

	decls, output, err := nn.Declare(nn.Sequential{nn.Func(nn.Flatten), nn.Linear{Out: 8}}, graph.Floats("x", 3, 32, 32))
	fmt.Println(decls[0].Name, decls[1].Name, output, err)
	// Output:
	// true
	// 1.weight 1.bias f32[N 8] <nil>
}

func ExampleInitial() {
	decls, _, err := nn.Declare(tiny{classes: 10}, graph.Floats("x", 3, 32, 32))
	if err != nil {
		log.Fatal(err)
	}
	values, err := nn.Initial(decls, 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values["bn1.weight"].F32()[:3], values["fc.bias"].F32()[:3])
	// Output: [1 1 1] [0.20207341 0.16812083 -0.06320528]
}

// The model reads a mask in addition to its main input, and returns the sum of the mask in addition
// to its main output.
func ExamplePass_Input() {
	model := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		mask := p.Input("mask")
		p.Output("kept", p.Sum(mask, false, 1))
		return p.Apply("fc", nn.Linear{Out: 2}, p.Mul(x, mask))
	})
	decls, output, err := nn.Declare(model, graph.Floats("x", 5), graph.Floats("mask", 5))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, output)
	_, _, err = nn.Declare(model, graph.Floats("x", 5))
	fmt.Println("without a mask an error:", err != nil)
	// Output:
	// fc.weight f32[2 5] f32[N 2]
	// without a mask an error: true
}

// The output of a hidden layer becomes an output of the model.
func ExamplePass_Output() {
	model := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		hidden := nn.Tanh(p, p.Apply("fc1", nn.Linear{Out: 8}, x))
		p.Output("embedding", hidden)
		return p.Apply("fc2", nn.Linear{Out: 2}, hidden)
	})
	b := graph.NewBuilder()
	p := nn.NewPass(b, nn.Infer)
	logits := model.Forward(p, b.Input("x", array.F32, graph.Batch(5)))
	if err := p.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Type(logits), p.Type(p.Outputs["embedding"]))
	// Output: f32[N 2] f32[N 8]
}

// A loss weights each example by a further target.
func ExamplePass_Target() {
	weighted := nn.LossFunc("weighted", func(p *nn.Pass, output, target graph.Node) graph.Node {
		return p.Mean(p.Mul(p.CrossEntropy(output, target), p.Target("weight")), false)
	})
	b := graph.NewBuilder()
	p := nn.NewPass(b, nn.Train)
	class := b.Input("class", array.I32, graph.Batch())
	p.Targets = map[string]graph.Node{"class": class, "weight": b.Input("weight", array.F32, graph.Batch())}
	loss := weighted.Loss(p, b.Input("logits", array.F32, graph.Batch(10)), class)
	if err := p.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Type(loss))
	// Output: f32[]
}

// A new layer: y = x·gain, with a gain for each feature.
func ExamplePass_Param() {
	gain := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Mul(x, p.Param("gain", graph.Norm, nn.Constant(1), p.Shape(x)[1].C))
	})
	decls, _, err := nn.Declare(nn.Sequential{nn.Linear{Out: 4}, gain}, graph.Floats("x", 3))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[2].Name, decls[2].Type)
	// Output: 1.gain f32[4]
}

// A training program by hand: the caller that made the pass commits its statistics.
func ExampleNewPass() {
	b := graph.NewBuilder()
	x, y := b.Input("x", array.F32, graph.Batch(3, 32, 32)), b.Input("y", array.I32, graph.Batch())
	p := nn.NewPass(b, nn.Train)
	loss := nn.CrossEntropy{}.Loss(p, tiny{classes: 10}.Forward(p, x), y)
	for slot, next := range p.Stats {
		b.Update(slot, next)
	}
	for _, d := range p.Decls() {
		if d.Kind == graph.Param {
			w := b.Slot(d.Slot)
			b.Update(d.Name, b.Sub(w, b.Scale(b.Grad(loss, w)[0], 0.1)))
		}
	}
	b.Output("loss", loss)
	program, err := b.Program()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(program.Slots), "slots,", len(program.Updates), "updates")
	// Output: 9 slots, 9 updates
}
