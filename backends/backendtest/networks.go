package backendtest

import (
	"math"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A network is a program with the first values of its slots and its inputs.
type network struct {
	name    string
	program *graph.Program
	slots   map[string]operand
	feed    func(t testing.TB, step, batch int) []array.Tensor
	steps   int
}

// trajectory bounds the results of a network. The errors of a step pass through the next one;
// normalization and roots amplify them.
var trajectory = within(4096, ofLargest)

func (s *suite) testNetworks(t *testing.T) {
	for _, n := range []network{convNet(t, true), convNet(t, false), attentionNet(t), cramNet(t)} {
		t.Run(n.name, func(t *testing.T) { s.train(t, n) })
	}
}

// train runs the steps of a network, with batches of different sizes, on the backend, on the
// reference, and on the backend again.
func (s *suite) train(t *testing.T, n network) {
	mine := s.start(t, s.backend, n)
	theirs := s.start(t, s.reference, n)
	again := s.start(t, s.backend, n)
	for step, batch := range []int{4, 1, 7, 3}[:n.steps] {
		feed := n.feed(t, step, batch)
		got, want := run(t, mine.exe, feed...), run(t, theirs.exe, feed...)
		for i, o := range n.program.Outputs {
			if err := trajectory.check(got[i], want[i], array.Tensor{}); err != nil {
				t.Errorf("step %d (batch of %d), output %s: %v", step, batch, o.Name, err)
			}
		}
		if repeated := run(t, again.exe, feed...); s.backend.Info().Deterministic {
			for i, o := range n.program.Outputs {
				if !sameBits(repeated[i], got[i]) {
					t.Errorf("step %d, output %s differs between two equal runs", step, o.Name)
				}
			}
		}
	}
	for _, slot := range n.program.Slots {
		got, want := mine.get(t, slot.Name), theirs.get(t, slot.Name)
		if err := trajectory.check(got, want, array.Tensor{}); err != nil {
			t.Errorf("slot %s after %d steps: %v", slot.Name, n.steps, err)
		}
		if s.backend.Info().Deterministic && !sameBits(again.get(t, slot.Name), got) {
			t.Errorf("slot %s differs between two equal trainings", slot.Name)
		}
	}
}

// A trainer is a session with a compiled program.
type trainer struct {
	session backends.Session
	exe     backends.Executable
}

// start opens a session, sets the network's slots and compiles its program.
func (s *suite) start(t *testing.T, b backends.Backend, n network) trainer {
	t.Helper()
	in := open(t, b)
	for i, slot := range n.program.Slots {
		if o, ok := n.slots[slot.Name]; ok {
			set(t, in, slot.Name, o.tensor(t, 100+i, array.F32))
		}
	}
	return trainer{in, s.compile(t, in, n.program, backends.Options{})}
}

func set(t testing.TB, s backends.Session, slot string, v array.Tensor) {
	t.Helper()
	if err := s.Set(t.Context(), slot, array.DenseValue(v)); err != nil {
		t.Fatalf("set %s: %v", slot, err)
	}
}

func get(t testing.TB, s backends.Session, slot string) array.Tensor {
	t.Helper()
	v, err := s.Get(t.Context(), slot)
	if err != nil {
		t.Fatalf("get %s: %v", slot, err)
	}
	return v
}

func (r trainer) get(t testing.TB, slot string) array.Tensor {
	t.Helper()
	return get(t, r.session, slot)
}

// layers builds networks: a builder that keeps the first values of its slots.
type layers struct {
	*graph.Builder
	slots   map[string]operand
	weights []graph.Node
	names   []string
	infer   bool
}

func newLayers() *layers { return &layers{Builder: graph.NewBuilder(), slots: map[string]operand{}} }

func (l *layers) slot(name string, kind graph.SlotKind, fill func(float64, int) float64, dims ...int) graph.Node {
	l.slots[name] = float(dims...).with(fill)
	return l.Slot(graph.Slot{Name: name, Kind: kind, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
}

// param is a weight whose values are signed and scaled by 1/√fan-in, around offset.
func (l *layers) param(name string, offset float64, dims ...int) graph.Node {
	fan := 1
	if len(dims) > 1 {
		fan = array.Count(dims[1:])
	}
	std := 1 / math.Sqrt(float64(fan))
	w := l.slot(name, graph.Param, func(u float64, _ int) float64 { return offset + std*(2*u-1) }, dims...)
	l.weights, l.names = append(l.weights, w), append(l.names, name)
	return w
}

func (l *layers) conv(name string, x graph.Node, out, kernel, stride int) graph.Node {
	w := l.param(name, 0, out, l.Shape(x)[1].C, kernel, kernel)
	return l.Conv2D(x, w, graph.ConvAttr{Stride: [2]int{stride, stride}, Pad: same(kernel / 2)})
}

// norm is batch normalization, by this batch with running statistics or, when inferring, by those.
func (l *layers) norm(name string, x graph.Node) graph.Node {
	c := l.Shape(x)[1].C
	gamma, beta := l.param(name+".weight", 2, c), l.param(name+".bias", 0, c)
	mean := l.slot(name+".mean", graph.Stat, signed, c)
	variance := l.slot(name+".var", graph.Stat, positive, c)
	if l.infer {
		return l.BatchNormInfer(x, gamma, beta, mean, variance, 1e-5)
	}
	y, m, v := l.BatchNorm(x, gamma, beta, 1e-5)
	l.Update(name+".mean", l.Add(l.Scale(mean, 0.9), l.Scale(m, 0.1)))
	l.Update(name+".var", l.Add(l.Scale(variance, 0.9), l.Scale(v, 0.1)))
	return y
}

func (l *layers) linear(name string, x graph.Node, out int) graph.Node {
	s := l.Shape(x)
	w, c := l.param(name+".weight", 0, out, s[len(s)-1].C), l.param(name+".bias", 0, out)
	return l.Add(l.MatMul(x, w, false, true), c)
}

// momentum updates every weight by SGD with momentum and weight decay.
func (l *layers) momentum(grads []graph.Node, lr float64) {
	for i, w := range l.weights {
		dims, _ := l.Shape(w).Dims()
		v := l.slot(l.names[i]+".momentum", graph.OptimizerState, func(float64, int) float64 { return 0 }, dims...)
		v = l.Add(l.Scale(v, 0.9), l.Add(grads[i], l.Scale(w, 5e-4)))
		l.Update(l.names[i]+".momentum", v)
		l.Update(l.names[i], l.Sub(w, l.Scale(v, lr)))
	}
}

func (l *layers) network(t testing.TB, name string, steps int, feed func(t testing.TB, step, batch int) []array.Tensor) network {
	t.Helper()
	p, err := l.Program()
	if err != nil {
		t.Fatalf("the suite's own network %s is wrong: %v", name, err)
	}
	return network{name: name, program: p, slots: l.slots, feed: feed, steps: steps}
}

// images feeds x [batch c h w] and, when classes is not zero, labels [batch].
func images(c, h, w, classes int) func(t testing.TB, step, batch int) []array.Tensor {
	return func(t testing.TB, step, batch int) []array.Tensor {
		feed := []array.Tensor{float(batch, c, h, w).tensor(t, 1000+step, array.F32)}
		if classes > 0 {
			feed = append(feed, ints(classes, batch).tensor(t, 2000+step, array.F32))
		}
		return feed
	}
}

// convNet is a residual network: convolutions, normalization, shortcut, both poolings and a linear
// layer.
func convNet(t testing.TB, training bool) network {
	l := newLayers()
	l.infer = !training
	x := l.Input("x", array.F32, graph.Batch(3, 9, 10))
	h := l.Relu(l.norm("bn1", l.conv("conv1", x, 17, 3, 1)))
	r := l.Relu(l.norm("bn2", l.conv("conv2", h, 32, 3, 2)))
	r = l.norm("bn3", l.conv("conv3", r, 32, 3, 1))
	h = l.Relu(l.Add(r, l.norm("bn4", l.conv("shortcut", h, 32, 1, 2))))
	h = l.MaxPool(h, graph.PoolAttr{Kernel: [2]int{2, 2}, Stride: [2]int{1, 1}, Pad: same(1)})
	h = l.AvgPool(h, graph.PoolAttr{Kernel: [2]int{2, 2}})
	logits := l.linear("fc", l.Mean(h, false, 2, 3), 5)
	l.Output("logits", logits)
	if !training {
		return l.network(t, "convolutional, inference", 4, images(3, 9, 10, 0))
	}
	labels := l.Input("labels", array.I32, graph.Batch())
	loss := l.Mean(l.CrossEntropy(logits, labels), false)
	l.Output("loss", loss)
	l.momentum(l.Grad(loss, l.weights...), 0.1)
	return l.network(t, "convolutional, SGD", 4, images(3, 9, 10, 5))
}

// attentionNet is one block of a transformer over looked-up tokens, with dropout and Adam.
func attentionNet(t testing.TB) network {
	const tokens, vocabulary, width, heads = 6, 11, 16, 2
	l := newLayers()
	x := l.Input("tokens", array.I32, graph.Batch(tokens))
	labels := l.Input("labels", array.I32, graph.Batch())
	key := l.Input("key", array.I64, graph.Of(2))
	rows := graph.Shape{{}, {C: width}}
	norm := func(name string, x graph.Node) graph.Node {
		return l.LayerNorm(x, l.param(name+".weight", 2, width), l.param(name+".bias", 0, width), 1e-5)
	}
	split := func(x graph.Node) graph.Node { // [N·tokens width] to [N heads tokens width/heads]
		return l.Transpose(l.Reshape(x, graph.Shape{{}, {C: tokens}, {C: heads}, {C: width / heads}}), 0, 2, 1, 3)
	}
	h := l.Add(l.Gather(l.param("embedding", 0, vocabulary, width), x), l.param("position", 0, tokens, width))
	n := l.Reshape(norm("norm1", h), rows)
	// Keys have no bias: softmax does not see it, so its gradient would be nothing but rounding
	// errors.
	k := split(l.MatMul(n, l.param("k.weight", 0, width, width), false, true))
	q, v := split(l.linear("q", n, width)), split(l.linear("v", n, width))
	attention := l.Softmax(l.Scale(l.MatMul(q, k, false, true), 1/math.Sqrt(width/heads)))
	mixed := l.Reshape(l.Transpose(l.MatMul(attention, v, false, false), 0, 2, 1, 3), rows)
	mixed = l.linear("out", mixed, width)
	dropout := l.Uniform(key, 0, array.F32, l.Shape(mixed))
	mixed = l.Scale(l.Mask(mixed, l.Less(dropout, l.ConstLike(dropout, 0.9))), 1/0.9)
	h = l.Add(h, l.Reshape(mixed, l.Shape(h)))
	m := l.linear("up", l.Reshape(norm("norm2", h), rows), 3*width)
	m = l.Mul(m, l.Scale(l.Shift(l.Erf(l.Scale(m, math.Sqrt2/2)), 1), 0.5)) // GELU
	h = l.Add(h, l.Reshape(l.linear("down", m, width), l.Shape(h)))
	logits := l.linear("classifier", l.Mean(h, false, 1), 3)
	loss := l.Mean(l.CrossEntropy(logits, labels), false)
	l.Output("loss", loss)
	l.Output("logits", logits)
	for i, g := range l.Grad(loss, l.weights...) {
		l.adam(l.names[i], l.weights[i], g)
	}
	return l.network(t, "attention, Adam", 4, func(t testing.TB, step, batch int) []array.Tensor {
		key, err := array.From([]int64{10, int64(step)})
		if err != nil {
			t.Fatal(err)
		}
		return []array.Tensor{ints(vocabulary, batch, tokens).tensor(t, 1000+step, array.F32), ints(3, batch).tensor(t, 2000+step, array.F32), key}
	})
}

// adam updates one weight. Its second moment starts at one, so that no division turns rounding into
// a sign.
func (l *layers) adam(name string, w, g graph.Node) {
	dims, _ := l.Shape(w).Dims()
	m := l.slot(name+".m", graph.OptimizerState, func(float64, int) float64 { return 0 }, dims...)
	v := l.slot(name+".v", graph.OptimizerState, func(float64, int) float64 { return 1 }, dims...)
	m = l.Add(l.Scale(m, 0.9), l.Scale(g, 0.1))
	v = l.Add(l.Scale(v, 0.99), l.Scale(l.Mul(g, g), 0.01))
	l.Update(name+".m", m)
	l.Update(name+".v", v)
	l.Update(name, l.Sub(w, l.Scale(l.Div(m, l.Shift(l.Sqrt(v), 1e-8)), 0.1)))
}

// cramNet is the CrAM+ step of a perceptron: two gradients, the second at the compressed ascent
// point and masked like it.
func cramNet(t testing.TB) network {
	l := newLayers()
	x := l.Input("x", array.F32, graph.Batch(20))
	labels := l.Input("labels", array.I32, graph.Batch())
	l.param("w1", 0, 33, 20)
	l.param("w2", 0, 5, 33)
	lossAt := func(w []graph.Node) graph.Node {
		h := l.Tanh(l.MatMul(x, w[0], false, true))
		return l.Mean(l.CrossEntropy(l.MatMul(h, w[1], false, true), labels), false)
	}
	loss := lossAt(l.weights)
	g := l.Grad(loss, l.weights...)
	ascent := make([]graph.Node, len(g))
	for i, w := range l.weights {
		ascent[i] = l.Add(w, l.Scale(g[i], 0.2))
	}
	masks := l.TopKMask(200, ascent...)
	compressed := make([]graph.Node, len(g))
	for i := range ascent {
		compressed[i] = l.Mask(ascent[i], masks[i])
	}
	second := lossAt(compressed)
	for i, h := range l.Grad(second, compressed...) {
		g[i] = l.Add(g[i], l.Mask(h, masks[i]))
	}
	l.momentum(g, 0.1)
	l.Output("loss", loss)
	l.Output("compressed loss", second)
	return l.network(t, "perceptron, CrAM+", 4, func(t testing.TB, step, batch int) []array.Tensor {
		return []array.Tensor{float(batch, 20).tensor(t, 1000+step, array.F32), ints(5, batch).tensor(t, 2000+step, array.F32)}
	})
}
