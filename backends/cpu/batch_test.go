package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// shared computes the outputs of a program over a batch that m machines share. Each machine
// computes the outputs for its images, with 8/m parts. merge joins the outputs of two machines; the
// last pair gives the result.
func shared(t *testing.T, isa string, m int, p *graph.Program, slots map[string]array.Tensor, in []array.Tensor,
	merge func(a, b []array.Tensor)) []array.Tensor {
	t.Helper()
	b := open(t, cpu.Options{InstructionSet: isa, Threads: 1 + m%3})
	cpu.SetParts(b, 8/m)
	s, err := b.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range slots {
		if err := s.Set(t.Context(), name, array.DenseValue(v)); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := s.Compile(t.Context(), p, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	outs := make([][]array.Tensor, m)
	for k := range outs {
		mine := make([]array.Tensor, len(in))
		for i, x := range in {
			mine[i] = x
			if len(x.Dims) > 0 && x.Dims[0] == in[0].Dims[0] {
				mine[i] = images(t, x, k, m)
			}
		}
		if outs[k], err = exe.Run(t.Context(), mine, nil); err != nil {
			t.Fatal(err)
		}
	}
	for step := 1; step < m; step *= 2 {
		for k := 0; k+step < m; k += 2 * step {
			merge(outs[k], outs[k+step])
		}
	}
	return outs[0]
}

// images returns the k-th of m equal parts of a batch.
func images(t *testing.T, x array.Tensor, k, m int) array.Tensor {
	t.Helper()
	dims := append([]int{x.Dims[0] / m}, x.Dims[1:]...)
	part, err := array.New(x.DType, dims...)
	if err != nil {
		t.Fatal(err)
	}
	copy(part.Data, x.Data[k*len(part.Data):])
	return part
}

// noise returns a tensor of normal variates.
func noise(t *testing.T, r *rand.Rand, scale float64, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.New(array.F32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.F32() {
		x.F32()[i] = float32(scale * r.NormFloat64())
	}
	return x
}

// add adds b to a.
func add(a, b []array.Tensor) {
	for i := range a {
		for j, v := range b[i].F32() {
			a[i].F32()[j] += v
		}
	}
}

// sameBits compares the outputs of m machines with those of one. Gradients of means are divided by
// m.
func sameBits(t *testing.T, what string, names []graph.Port, got, want []array.Tensor, m int) {
	t.Helper()
	for i := range want {
		different, scale := 0, float32(1)
		if strings.HasPrefix(names[i].Name, "gradient") {
			scale = 1 / float32(m)
		}
		for j, v := range want[i].F32() {
			if math.Float32bits(got[i].F32()[j]*scale) != math.Float32bits(v) {
				different++
			}
		}
		if different > 0 {
			t.Errorf("%s, output %s: %d of %d elements differ", what, names[i].Name, different, len(want[i].F32()))
		}
	}
}

// gradients builds the losses of a network on images [N 3 6 6] and their gradients. The network has
// planar, blocked, grouped and depthwise convolutions, biases, a layer norm, and products over [N
// C] and [N*T C].
func gradients(t *testing.T) (p *graph.Program, slots map[string]array.Tensor) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	slots = map[string]array.Tensor{}
	b := graph.NewBuilder()
	var params []graph.Node
	param := func(name string, dims ...int) graph.Node {
		slots[name] = noise(t, r, 0.2, dims...)
		w := b.Slot(graph.Slot{Name: name, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
		params = append(params, w)
		return w
	}
	x, labels := b.Input("x", array.F32, graph.Batch(3, 6, 6)), b.Input("labels", array.I32, graph.Batch())
	conv := func(name string, x graph.Node, out, kernel, groups int) graph.Node {
		in := b.Shape(x)[1].C
		pad := kernel / 2
		y := b.Conv2D(x, param(name, out, in/groups, kernel, kernel), graph.ConvAttr{Stride: [2]int{1, 1}, Pad: [4]int{pad, pad, pad, pad}, Groups: groups})
		bias := b.Reshape(param(name+".bias", out), graph.Of(1, out, 1, 1))
		return b.Relu(b.Add(y, b.Broadcast(bias, b.Shape(y))))
	}
	y := conv("planar", x, 20, 3, 1)
	y = conv("depthwise", y, 20, 3, 20)
	y = conv("groups", y, 24, 3, 2)
	y = conv("large", y, 384, 3, 1)
	y = conv("larger", y, 160, 3, 1) // partial sums of 2 MiB
	y = conv("pointwise", y, 8, 1, 1)
	n := graph.Sym("N")
	y = b.Reshape(y, graph.Shape{n, {C: 9}, {C: 32}})
	y = b.LayerNorm(y, param("gamma", 32), param("beta", 32), 1e-5)
	y = b.Reshape(y, graph.Shape{n.Mul(graph.Dim{C: 9}), {C: 32}})
	y = b.MatMul(y, param("mixer", 40, 32), false, true)
	bias := b.Reshape(param("mixer.bias", 40), graph.Of(1, 40))
	y = b.Tanh(b.Add(y, b.Broadcast(bias, b.Shape(y))))
	y = b.Reshape(y, graph.Shape{n, {C: 360}})
	logits := b.MatMul(y, param("fc", 10, 360), false, true)
	entropy := b.Mean(b.CrossEntropy(logits, labels), false)
	square := b.Mean(b.Mul(y, y), false)
	loss := b.Add(entropy, square)
	for i, g := range b.Grad(loss, params...) {
		b.Output(fmt.Sprintf("gradient of parameter %d", i), g)
	}
	// A mean is divided after the sum, so that machines share sums of losses. The gradient of a
	// mean is divided before.
	losses := b.Sum(b.CrossEntropy(logits, labels), false)
	b.Output("sum of losses", losses)
	b.Output("sum of squares", b.Sum(b.Mul(y, y), false))
	b.Output("sum over images and last axis", b.Sum(x, false, 0, 3))
	b.Output("sum of planes", b.Sum(b.Relu(b.Conv2D(x, params[0], graph.ConvAttr{Stride: [2]int{1, 1}, Groups: 1})), false, 0, 2, 3))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p, slots
}

// Two, four and eight machines that share a batch and add their results as a tree get the bits of
// one machine.
func TestMachinesAddAsOne(t *testing.T) {
	p, slots := gradients(t)
	r := rand.New(rand.NewPCG(5, 6))
	tried := instructionSets()
	if testing.Short() {
		tried = tried[len(tried)-1:]
	}
	for _, batch := range []int{16, 40} {
		labels := make([]int32, batch)
		for i := range labels {
			labels[i] = int32(r.IntN(10))
		}
		y, err := array.From(labels)
		if err != nil {
			t.Fatal(err)
		}
		in := []array.Tensor{noise(t, r, 1, batch, 3, 6, 6), y}
		for _, isa := range tried {
			want := shared(t, isa, 1, p, slots, in, nil)
			for m := 2; m <= 8; m *= 2 {
				got := shared(t, isa, m, p, slots, in, add)
				sameBits(t, fmt.Sprintf("%s, %d images on %d machines", isa, batch, m), p.Outputs, got, want, m)
			}
		}
	}
}

// Machines combine the statistics of a batch norm as pairs of mean and variance, and add its
// gradients at common statistics.
func TestMachinesShareStatistics(t *testing.T) {
	const batch, channels = 32, 20
	r := rand.New(rand.NewPCG(7, 8))
	vector := graph.Type{DType: array.F32, Shape: graph.Of(channels)}
	slots := map[string]array.Tensor{"gamma": noise(t, r, 1, channels), "beta": noise(t, r, 1, channels)}
	x, dy := noise(t, r, 3, batch, channels, 5, 5), noise(t, r, 1, batch, channels, 5, 5)
	for i := range x.F32() {
		x.F32()[i] += 100
	}

	b := graph.NewBuilder()
	in := b.Input("x", array.F32, graph.Batch(channels, 5, 5))
	_, mean, variance := b.BatchNorm(in, b.Slot(graph.Slot{Name: "gamma", Type: vector}), b.Slot(graph.Slot{Name: "beta", Type: vector}), 1e-5)
	b.Output("mean", mean)
	b.Output("variance", variance)
	statistics, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	// The builder has no method for batch_norm_grad.
	imagesOf := graph.Type{DType: array.F32, Shape: graph.Batch(channels, 5, 5)}
	gradients := &graph.Program{
		Types: []graph.Type{imagesOf, imagesOf, vector, vector, vector, imagesOf, vector, vector},
		Code: []graph.Instr{
			{Op: graph.OpInput, Attr: graph.SourceAttr{Name: "dy", DType: array.F32, Shape: imagesOf.Shape}, Out: []graph.ID{0}},
			{Op: graph.OpInput, Attr: graph.SourceAttr{Name: "x", DType: array.F32, Shape: imagesOf.Shape}, Out: []graph.ID{1}},
			{Op: graph.OpSlot, Attr: graph.SourceAttr{Name: "gamma", DType: array.F32, Shape: vector.Shape}, Out: []graph.ID{2}},
			{Op: graph.OpSlot, Attr: graph.SourceAttr{Name: "mean", DType: array.F32, Shape: vector.Shape}, Out: []graph.ID{3}},
			{Op: graph.OpSlot, Attr: graph.SourceAttr{Name: "variance", DType: array.F32, Shape: vector.Shape}, Out: []graph.ID{4}},
			{Op: graph.OpBatchNormGrad, Attr: graph.NormAttr{Eps: 1e-5}, In: []graph.ID{0, 1, 2, 3, 4}, Out: []graph.ID{5, 6, 7}},
		},
		Inputs:  []graph.Port{{Name: "dy", ID: 0}, {Name: "x", ID: 1}},
		Slots:   []graph.Slot{{Name: "gamma", Type: vector}, {Name: "mean", Type: vector}, {Name: "variance", Type: vector}},
		Outputs: []graph.Port{{Name: "dgamma", ID: 6}, {Name: "dbeta", ID: 7}},
	}

	tried := instructionSets()
	if testing.Short() {
		tried = tried[len(tried)-1:]
	}
	for _, isa := range tried {
		want := shared(t, isa, 1, statistics, slots, []array.Tensor{x}, nil)
		for m := 2; m <= 8; m *= 2 {
			got := shared(t, isa, m, statistics, slots, []array.Tensor{x}, func(a, b []array.Tensor) {
				for j, v := range b[0].F32() {
					u, x, y := &a[0].F32()[j], &a[1].F32()[j], b[1].F32()[j]
					d := float64(v) - float64(*u)
					*x = float32(float64(*x)/2 + float64(y)/2 + d*d/4)
					*u = float32(float64(*u) + d/2)
				}
			})
			sameBits(t, fmt.Sprintf("%s, %d machines", isa, m), statistics.Outputs, got, want, m)
		}
		slots["mean"], slots["variance"] = want[0], want[1]
		want = shared(t, isa, 1, gradients, slots, []array.Tensor{dy, x}, nil)
		for m := 2; m <= 8; m *= 2 {
			got := shared(t, isa, m, gradients, slots, []array.Tensor{dy, x}, add)
			sameBits(t, fmt.Sprintf("%s, %d machines", isa, m), gradients.Outputs, got, want, m)
		}
	}
}
