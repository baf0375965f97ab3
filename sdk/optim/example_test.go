package optim_test

import (
	"fmt"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/optim"
)

// One compressor or several: several make it CrAM+-Multi. An estimator is data, so that the rest of the family is a field away.
func ExampleCrAMPlus() {
	multi := optim.CrAMPlus(0.2, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9))
	fmt.Println(multi)

	infrequent := multi
	infrequent.Points = append([]optim.Point(nil), multi.Points...)
	infrequent.Points[1].Refresh = 20 // masks live for 20 uses
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

// An estimator of one's own: three points, the third compressed, mixed as one likes.
func ExampleMethod() {
	e := optim.Method{
		Name: "sam and prune",
		Points: []optim.Point{
			{},
			{Move: optim.Ascend{Rho: 0.05, Normalize: true}},
			{Compress: []compress.Compressor{compress.TopK(.8)}},
		},
		Mix: []float64{0, 1, 0.5},
	}
	fmt.Println(e.Check(), e)
	// Output: <nil> sam and prune 0·∇(θ) + 1·∇(θ+0.05·g/‖g‖) + 0.5·∇(C(θ)) C∈{topk:0.8}
}

// Weight decay on kernels alone.
func ExampleGroups() {
	rule := optim.Groups{
		{Name: "kernels", Match: optim.Kernels, Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}},
		{Name: "rest", Match: optim.All, Optimizer: optim.SGD{Momentum: 0.9}},
	}
	fmt.Println(rule.Check(), rule)
	// Output: <nil> groups(kernels: sgd(momentum=0.9 weight_decay=0.0005 nesterov=false); rest: sgd(momentum=0.9 weight_decay=0 nesterov=false))
}

// A Clip wraps any rule, and its settings are checked with the rule's.
func ExampleClip() {
	fmt.Println(optim.Clip{MaxNorm: 1, Optimizer: optim.AdamW{WeightDecay: 0.01}})
	fmt.Println(optim.CheckOptimizer(optim.Clip{MaxNorm: -1, Optimizer: optim.SGD{}}))
	// Output:
	// clip(1, adamw(beta1=0.9 beta2=0.999 eps=1e-08 weight_decay=0.01))
	// optim: clip(-1, sgd(momentum=0 weight_decay=0 nesterov=false)): MaxNorm is -1, want above 0
}

// The paper's schedule for CIFAR-10: five epochs of warm-up, then half a cosine over the other 195.
func ExampleCosine() {
	s := optim.Cosine{Peak: 0.1, Warmup: 5}
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
	s := optim.Linear{Peak: 3e-5, Warmup: 2}
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

// A schedule that asks for more warm-up than there is training is refused before the first step.
func ExampleCheckSchedule() {
	fmt.Println(optim.CheckSchedule(optim.Cosine{Peak: 0.1, Warmup: 5}, optim.Progress{Epochs: 3}))
	// Output: optim: cosine(peak=0.1 warmup=5): Warmup is 5 epochs, want 0 to 3, the length of the training
}
