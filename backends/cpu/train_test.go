package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// trainStep builds one step of SGD with momentum on images [N 3 size size]: plain, or CrAM+ with a
// top-k mask that keeps keep of the weights.
func trainStep(tb testing.TB, m nn.Model, size, keep int) *graph.Program {
	tb.Helper()
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(3, size, size))
	labels := b.Input("labels", array.I32, graph.Batch())
	lr := b.Input("lr", array.F32, nil)
	pass := nn.NewPass(b, nn.Train)
	loss := nn.CrossEntropy{}.Loss(pass, m.Forward(pass, x), labels)
	var w optim.Weights
	var at []graph.Node
	for _, d := range pass.Decls() {
		if d.Kind == graph.Param {
			dims, _ := d.Shape.Dims()
			w = append(w, compress.WeightNode{Meta: compress.Meta{Name: d.Name, Role: d.Role, Dims: dims}, W: b.Slot(d.Slot)})
			at = append(at, w[len(w)-1].W)
		}
	}
	grads := optim.Grads(b.Grad(loss, at...))
	if keep > 0 {
		grads = cramPlus(b, m, x, labels, w, grads, keep)
	}
	for i, next := range (optim.SGD{Momentum: 0.9, WeightDecay: 5e-4}).Update(b, w, grads, optim.Clock{LR: lr}) {
		b.Update(w[i].Name, next)
	}
	for name, next := range pass.Stats {
		b.Update(name, next)
	}
	b.Output("loss", loss)
	p, err := b.Program()
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// cramPlus returns g + mask·∇L(mask·(θ + 0.2·g)).
func cramPlus(b *graph.Builder, m nn.Model, x, labels graph.Node, w optim.Weights, g optim.Grads, keep int) optim.Grads {
	moved := optim.Ascend{Rho: 0.2}.Apply(b, w, []optim.Grads{g})
	var prunable []graph.Node
	for _, p := range moved {
		if p.Prunable() {
			prunable = append(prunable, p.W)
		}
	}
	masks := b.TopKMask(keep, prunable...)
	pass := nn.NewPass(b, nn.Train)
	pass.Weights = map[string]graph.Node{}
	at, k := make([]graph.Node, len(moved)), 0
	for i, p := range moved {
		at[i] = p.W
		if p.Prunable() {
			at[i] = b.Mask(p.W, masks[k])
			k++
		}
		pass.Weights[p.Name] = at[i]
	}
	second := b.Grad(nn.CrossEntropy{}.Loss(pass, m.Forward(pass, x), labels), at...)
	k = 0
	for i, p := range moved {
		if p.Prunable() {
			second[i] = b.Mask(second[i], masks[k])
			k++
		}
		second[i] = b.Add(g[i], second[i])
	}
	return second
}

// trainer is a compiled step with a batch of noise.
type trainer struct {
	session backends.Session
	exe     backends.Executable
	in, out []array.Tensor
}

func newTrainer(tb testing.TB, b *cpu.Backend, p *graph.Program, batch, size int) *trainer {
	tb.Helper()
	ctx := tb.Context()
	s, err := b.NewSession(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	r := rand.New(rand.NewPCG(1, 2))
	for _, slot := range p.Slots {
		dims, _ := slot.Shape.Dims()
		t, err := array.New(array.F32, dims...)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range t.F32() {
			switch {
			case slot.Role == graph.Kernel:
				t.F32()[i] = float32(r.NormFloat64() * math.Sqrt(2/float64(array.Count(dims[1:]))))
			case slot.Role == graph.Norm && slot.Name[len(slot.Name)-6:] == "weight":
				t.F32()[i] = 1
			}
		}
		if err := s.Set(ctx, slot.Name, array.DenseValue(t)); err != nil {
			tb.Fatal(err)
		}
	}
	exe, err := s.Compile(ctx, p, backends.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	images := make([]float32, batch*3*size*size)
	for i := range images {
		images[i] = float32(r.NormFloat64())
	}
	labels := make([]int32, batch)
	for i := range labels {
		labels[i] = int32(r.IntN(10))
	}
	x, _ := array.From(images, batch, 3, size, size)
	y, _ := array.From(labels)
	lr, _ := array.Scalar(array.F32, 0.05)
	loss, _ := array.New(array.F32)
	return &trainer{s, exe, []array.Tensor{x, y, lr}, []array.Tensor{loss}}
}

func (t *trainer) step(tb testing.TB) float32 {
	tb.Helper()
	out, err := t.exe.Run(tb.Context(), t.in, t.out)
	if err != nil {
		tb.Fatal(err)
	}
	return out[0].F32()[0]
}

// smallResNet has every kind of block, and numbers of channels that are not multiples of 16.
var smallResNet = models.ResNet{Blocks: []int{1, 2, 1}, Widths: []int{8, 24, 32}, Classes: 10}

// The number of workers changes nothing: every slot and every loss have the same bits after three
// CrAM+ steps.
func TestThreadsDoNotMatter(t *testing.T) {
	p := trainStep(t, smallResNet, 12, 4000)
	tried := instructionSets()
	if testing.Short() {
		tried = tried[len(tried)-1:]
	}
	for _, isa := range tried {
		var losses []float32
		var slots map[string]string
		for _, threads := range []int{1, 2, 3, 8} {
			tr := newTrainer(t, open(t, cpu.Options{InstructionSet: isa, Threads: threads}), p, 13, 12)
			var got []float32
			for range 3 {
				got = append(got, tr.step(t))
			}
			values := map[string]string{}
			for _, s := range p.Slots {
				v, err := tr.session.Get(t.Context(), s.Name)
				if err != nil {
					t.Fatal(err)
				}
				values[s.Name] = string(v.Data)
			}
			if slots == nil {
				losses, slots = got, values
				continue
			}
			if fmt.Sprint(got) != fmt.Sprint(losses) {
				t.Errorf("%s: losses with %d threads are %v, with one %v", isa, threads, got, losses)
			}
			for name, v := range values {
				if v != slots[name] {
					t.Errorf("%s: slot %s with %d threads differs from that with one", isa, name, threads)
				}
			}
		}
	}
}

func BenchmarkTrainStep(b *testing.B) {
	const batch = 128
	for _, c := range []struct {
		name string
		keep int
	}{{"sgd", 0}, {"cram+", 27090}} {
		p := trainStep(b, models.ResNet20(10), 32, c.keep)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", c.name, threads), func(b *testing.B) {
				tr := newTrainer(b, open(b, cpu.Options{Threads: threads}), p, batch, 32)
				tr.step(b)
				b.ResetTimer()
				for range b.N {
					tr.step(b)
				}
				b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "images/s")
			})
		}
	}
}

// BenchmarkProfile prints where the time of a training step goes.
func BenchmarkProfile(b *testing.B) {
	p := trainStep(b, models.ResNet20(10), 32, 0)
	tr := newTrainer(b, open(b, cpu.Options{Threads: 1, Profile: true}), p, 128, 32)
	tr.step(b)
	prof := tr.exe.(cpu.Profiler)
	prof.Profile()
	b.ResetTimer()
	for range b.N {
		tr.step(b)
	}
	for _, t := range prof.Profile() {
		b.Logf("%8.2f ms  %5d  %s", t.Time.Seconds()*1e3/float64(b.N), t.Calls/b.N, t.Name)
	}
}
