package optim_test

import (
	"fmt"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/optim"
)

// Several compressors make it CrAM+-Multi. Infrequent masks are a field of the second point.
func ExampleCrAMPlus() {
	multi := optim.CrAMPlus(0.2, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9))
	fmt.Println(multi)

	infrequent := multi
	infrequent.Points = append([]optim.Point(nil), multi.Points...)
	infrequent.Points[1].Refresh = 20 // each compressor computes its masks at every 20th use
	fmt.Println(infrequent)
	// Output:
	// cram+ 1·∇(θ) + 1·∇(C(θ+0.2·g)) C∈{topk:0.5, topk:0.7, topk:0.9}
	// cram+ 1·∇(θ) + 1·∇(C(θ+0.2·g)) C∈{topk:0.5, topk:0.7, topk:0.9} refresh 20
}

func ExampleCrAM() {
	fmt.Println(optim.CrAM(0.05, compress.NM{N: 2, M: 4}))
	// Output: cram 0·∇(θ) + 1·∇(C(θ+0.05·g)) C∈{nm:2:4}
}

func ExampleSAM() {
	fmt.Println(optim.SAM(0.05))
	// Output: sam 0·∇(θ) + 1·∇(θ+0.05·g/‖g‖)
}

// A new method: three points, the third compressed, the last two mixed.
func ExampleMethod() {
	m := optim.Method{
		Name: "sam and prune",
		Points: []optim.Point{
			{},
			{Move: optim.Ascend{Rho: 0.05, Normalize: true}},
			{Compress: []compress.Compressor{compress.TopK(.8)}},
		},
		Mix: []float64{0, 1, 0.5},
	}
	fmt.Println(m.Check(), m)
	// Output: <nil> sam and prune 0·∇(θ) + 1·∇(θ+0.05·g/‖g‖) + 0.5·∇(C(θ)) C∈{topk:0.8}
}

// Weight decay on kernels only.
func ExampleGroups() {
	groups := optim.Groups{
		{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}},
		{Name: "rest", Optimizer: optim.SGD{Momentum: 0.9}},
	}
	fmt.Println(groups.Check(), groups)
	// Output: <nil> groups(kernels: sgd(momentum=0.9 weight_decay=0.0005 nesterov=false); rest: sgd(momentum=0.9 weight_decay=0 nesterov=false))
}

// Check of a Clip includes the settings of its optimizer.
func ExampleClip() {
	fmt.Println(optim.Clip{MaxNorm: 1, Optimizer: optim.AdamW{WeightDecay: 0.01}})
	fmt.Println(optim.Clip{MaxNorm: -1, Optimizer: optim.SGD{Momentum: 2}}.Check())
	// Output:
	// clip(1, adamw(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0.01))
	// optim: clip(-1, sgd(momentum=2 weight_decay=0 nesterov=false)): MaxNorm is -1, want above 0; sgd(momentum=2 weight_decay=0 nesterov=false): Momentum is 2, want 0 or more and below 1
}

// The schedule of the CrAM paper for CIFAR-10: five epochs of warm-up, then half a cosine over 195.
func ExampleCosine() {
	s := optim.Cosine{Peak: 0.1, WarmupEpochs: 5}
	for _, epoch := range []int{0, 4, 70, 135, 199} {
		fmt.Printf("epoch %3d: %.4f\n", epoch, s.LR(optim.Progress{Epoch: epoch, Epochs: 200}))
	}
	// Output:
	// epoch   0: 0.0200
	// epoch   4: 0.1000
	// epoch  70: 0.0750
	// epoch 135: 0.0250
	// epoch 199: 0.0000
}

func ExampleLinear() {
	s := optim.Linear{Peak: 3e-5, WarmupSteps: 2}
	for step := range 6 {
		fmt.Printf("%.2e ", s.LR(optim.Progress{Step: step, Steps: 6}))
	}
	fmt.Println()
	// Output: 1.50e-05 3.00e-05 3.00e-05 2.25e-05 1.50e-05 7.50e-06
}

func ExampleMultiStep() {
	s := optim.MultiStep{Base: 0.1, Milestones: []int{30, 60}, Gamma: 0.1}
	for _, epoch := range []int{0, 30, 60} {
		fmt.Printf("%.3f ", s.LR(optim.Progress{Epoch: epoch, Epochs: 90}))
	}
	fmt.Println()
	// Output: 0.100 0.010 0.001
}

// A warm-up that is longer than the training is an error before the first step.
func ExampleCosine_Check() {
	fmt.Println(optim.Cosine{Peak: 0.1, WarmupEpochs: 5}.Check(optim.Progress{Epochs: 3}))
	// Output: optim: cosine(peak=0.1 warmup=5): WarmupEpochs is 5 epochs, want 0 to 3, the number of epochs
}

func ExamplePlain() {
	fmt.Println(optim.Plain())
	// Output: plain 1·∇(θ)
}

func ExampleConstant() {
	fmt.Println(optim.Constant(0.01).LR(optim.Progress{Epoch: 7, Epochs: 10}))
	// Output: 0.01
}

// The settings of the CrAM paper for CIFAR-10.
func ExampleSGD() {
	fmt.Println(optim.SGD{Momentum: 0.9, WeightDecay: 5e-4})
	// Output: sgd(momentum=0.9 weight_decay=0.0005 nesterov=false)
}

func ExampleAdam() {
	fmt.Println(optim.Adam{Beta2: 0.99})
	// Output: adam(beta1=0.9 beta2=0.99 eps=1e-08 weight_decay=0)
}

func ExampleAdamW() {
	fmt.Println(optim.AdamW{WeightDecay: 0.01})
	// Output: adamw(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0.01)
}

// A normalized ascent in CrAM+.
func ExampleAscend() {
	m := optim.CrAMPlus(0.05, compress.TopK(0.9))
	m.Points[1].Move = optim.Ascend{Rho: 0.05, Normalize: true}
	fmt.Println(m)
	// Output: cram+ 1·∇(θ) + 1·∇(C(θ+0.05·g/‖g‖)) C∈{topk:0.9}
}

// sign is signSGD: θ ← θ - lr·sign(g), with the sign as g/|g|.
type sign struct{}

func (sign) String() string { return "sign()" }

func (sign) Update(b *graph.Builder, w optim.Weights, g optim.Grads, t optim.Clock) []graph.Node {
	next := make([]graph.Node, len(w))
	for i, p := range w {
		size := b.Shift(b.Abs(g[i]), 1e-30)
		next[i] = b.Sub(p.W, b.Mul(b.Div(g[i], size), t.LR))
	}
	return next
}

// An optimizer is any type with String and Update.
func ExampleOptimizer() {
	fmt.Println(optim.Clip{MaxNorm: 1, Optimizer: sign{}})
	// Output: clip(1, sign())
}

// halving is a schedule that halves the rate in each epoch.
type halving float64

func (h halving) String() string { return fmt.Sprintf("halving(%g)", float64(h)) }

func (h halving) LR(p optim.Progress) float64 { return float64(h) / float64(int(1)<<p.Epoch) }

// A schedule is any type with String and LR.
func ExampleSchedule() {
	var s optim.Schedule = halving(0.1)
	fmt.Println(s, s.LR(optim.Progress{Epoch: 2, Epochs: 5}))
	// Output: halving(0.1) 0.025
}

// shrink moves to (1-s)·θ.
type shrink float64

func (s shrink) String() string { return fmt.Sprintf("%g·θ", 1-float64(s)) }

func (s shrink) Apply(b *graph.Builder, w optim.Weights, _ []optim.Grads) optim.Weights {
	moved := append(optim.Weights(nil), w...)
	for i := range moved {
		moved[i].W = b.Scale(w[i].W, 1-float64(s))
	}
	return moved
}

// A method with a new move.
func ExampleMove() {
	m := optim.CrAMPlus(0, compress.TopK(0.9))
	m.Points[1].Move = shrink(0.25)
	fmt.Println(m)
	// Output: cram+ 1·∇(θ) + 1·∇(C(0.75·θ)) C∈{topk:0.9}
}
