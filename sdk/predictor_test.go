package sdk_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/metric"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// sparse returns a trained network with the levels dense and topk:0.9.
func sparse(t testing.TB) *sdk.Network {
	t.Helper()
	set := shapes(t, 40, 0)
	tr := tinyTrainer()
	tr.Model, tr.Epochs = models.SmallCNN(10), 1
	tr.Normalize = data.Normalize{Mean: []float32{.3, .4, .5}, Std: []float32{.2, .3, .4}}
	net, err := sdk.Compress(t.Context(), fit(t, tr, set, nil), sdk.Calibration{Set: set, Batch: 20, Batches: 4}, compress.Identity{}, compress.TopK(.9))
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func predictor(t testing.TB, net *sdk.Network, options ...sdk.PredictorOptions) *sdk.Predictor {
	t.Helper()
	p, err := net.Predictor(t.Context(), first(options))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pixels returns n images one after another.
func pixels(t testing.TB, n int) []float32 {
	t.Helper()
	x := make([]float32, n*3*24*24)
	set := shapes(t, n, 9)
	for i := range n {
		e, err := data.ReadExample(set, i)
		if err != nil {
			t.Fatal(err)
		}
		copy(x[i*3*24*24:], e.Inputs[0].F32())
	}
	return x
}

func images(x []float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(x)/(3*24*24), 3, 24, 24), tensor.WithBacking(x))
}

func predict(t testing.TB, p *sdk.Predictor, x *tensor.Dense) []float32 {
	t.Helper()
	y, err := p.Predict(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	return y.Float32s()
}

// TestBatchSizes holds that the logits of an example do not depend on the other examples of its
// batch, bit for bit.
func TestBatchSizes(t *testing.T) {
	net := sparse(t)
	const n, size = 37, 3 * 24 * 24
	x := pixels(t, n)
	for _, level := range net.Levels() {
		p := predictor(t, net, sdk.PredictorOptions{Level: level, Backend: onCPU(t, 2)})
		var one []float32
		for i := range n {
			one = append(one, predict(t, p, images(x[i*size:][:size]))...)
		}
		for _, batch := range []int{2, 3, 4, 7, 8, 16, 31, 37} {
			for i := 0; i+batch <= n; i += batch {
				if got := predict(t, p, images(x[i*size:][:batch*size])); !slices.Equal(got, one[i*10:][:batch*10]) {
					t.Errorf("%s: a batch of %d from image %d on has other logits than batches of one", level, batch, i)
				}
			}
		}
		alone := tensor.New(tensor.WithShape(3, 24, 24), tensor.WithBacking(x[:size]))
		y, err := p.Predict(t.Context(), alone)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(y.Shape(), []int{1, 10}) || !slices.Equal(y.Float32s(), one[:10]) {
			t.Errorf("%s: an image without the batch axis: %v", level, y)
		}
		if slices.Equal(one[:10], one[10:20]) {
			t.Error("two images have the same logits: the test cannot fail")
		}
	}
}

// TestPredictorsAgree holds that the number of threads changes no bit, and that the CPU has the
// logits of the reference. The tolerance of 1e-4 is for float32 sums in another order.
func TestPredictorsAgree(t *testing.T) {
	net := sparse(t)
	x := pixels(t, 5)
	want := predict(t, predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: reference.New()}), images(x))
	one := predict(t, predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: onCPU(t, 1)}), images(x))
	three := predict(t, predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: onCPU(t, 3)}), images(x))
	if !slices.Equal(one, three) {
		t.Error("3 threads have other logits than 1")
	}
	for i := range want {
		if d := math.Abs(float64(one[i] - want[i])); !(d <= 1e-4) {
			t.Errorf("logit %d is %v, want %v", i, one[i], want[i])
		}
	}
}

// TestConcurrentPredict holds that 16 goroutines get the logits that one gets alone.
func TestConcurrentPredict(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	const n, size = 32, 3 * 24 * 24
	x := pixels(t, n)
	backend := onCPU(t, 2)
	dense, small := predictor(t, net, sdk.PredictorOptions{Level: "dense", Backend: backend}), predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: backend})
	want := map[*sdk.Predictor][]float32{dense: predict(t, dense, images(x)), small: predict(t, small, images(x))}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			p := []*sdk.Predictor{dense, small}[g%2]
			for k := range 8 {
				first, batch := (g+5*k)%n, 1+(g*k)%4
				batch = min(batch, n-first)
				y, err := p.Predict(t.Context(), images(x[first*size:][:batch*size]))
				if err != nil {
					t.Error(err)
					return
				}
				if !slices.Equal(y.Float32s(), want[p][first*10:][:batch*10]) {
					t.Errorf("goroutine %d: other logits than alone", g)
				}
			}
		})
	}
	wg.Wait()
}

// TestPredictRefuses holds that a wrong input is an error that states what is wanted.
func TestPredictRefuses(t *testing.T) {
	p := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense"})
	const size = 3 * 24 * 24
	with := func(at int, v float32) *tensor.Dense {
		x := pixels(t, 2)
		x[at] = v
		return images(x)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for name, c := range map[string]struct {
		x     *tensor.Dense
		texts []string
	}{
		"nil":         {nil, []string{"Predict", "got nil"}},
		"empty":       {new(tensor.Dense), []string{"Predict", "without a type"}},
		"scalar":      {tensor.New(tensor.FromScalar(float32(1))), []string{"scalar"}},
		"float64":     {tensor.New(tensor.WithShape(1, 3, 24, 24), tensor.Of(tensor.Float64)), []string{"float32", "float64"}},
		"shape":       {tensor.New(tensor.WithShape(1, 3, 24, 23), tensor.Of(tensor.Float32)), []string{"want shape [N 3 24 24]", "[1 3 24 23]"}},
		"axes":        {tensor.New(tensor.WithShape(1, 1, 3, 24, 24), tensor.Of(tensor.Float32)), []string{"[1 1 3 24 24]"}},
		"vector":      {tensor.New(tensor.WithShape(size), tensor.Of(tensor.Float32)), []string{"[1728]"}},
		"NaN":         {with(size+5, nan), []string{"element 5 of example 1 is NaN", "AllowNonFinite"}},
		"infinity":    {with(7, inf), []string{"element 7 of example 0 is -Inf"}},
		"channels in": {tensor.New(tensor.WithShape(2, 24, 24, 3), tensor.Of(tensor.Float32)), []string{"[2 24 24 3]"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.Predict(t.Context(), c.x)
			wantError(t, err, c.texts...)
		})
	}
	lenient := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense", AllowNonFinite: true})
	y := predict(t, lenient, with(size+5, nan))
	if good := predict(t, lenient, images(pixels(t, 2))); !slices.Equal(y[:10], good[:10]) {
		t.Error("a NaN in one example changes another one")
	}
}

// TestOtherLayouts holds that Predict reads tensors by their strides and does not change them.
func TestOtherLayouts(t *testing.T) {
	p := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense"})
	const n, size = 4, 3 * 24 * 24
	x := pixels(t, n)
	want := predict(t, p, images(x))

	last := make([]float32, len(x)) // the images with channels last
	for i := range n {
		for c := range 3 {
			for at := range 24 * 24 {
				last[i*size+at*3+c] = x[i*size+c*24*24+at]
			}
		}
	}
	transposed := tensor.New(tensor.WithShape(n, 24, 24, 3), tensor.WithBacking(slices.Clone(last)))
	if err := transposed.T(0, 3, 1, 2); err != nil {
		t.Fatal(err)
	}
	if got := predict(t, p, transposed); !slices.Equal(got, want) {
		t.Error("the transposition of a tensor is ignored")
	}
	column := tensor.New(tensor.WithShape(n, 3, 24, 24), tensor.AsFortran(make([]float32, len(x))))
	strides := column.Strides()
	for i := range x {
		at := 0
		for axis, rest, below := 0, i, size; axis < 4; axis++ {
			at += rest / below * strides[axis]
			rest %= below
			if axis < 3 {
				below /= []int{3, 24, 24}[axis]
			}
		}
		column.Float32s()[at] = x[i]
	}
	if got := predict(t, p, column); !slices.Equal(got, want) {
		t.Error("a column-major tensor is read as row-major")
	}
	view, err := images(slices.Clone(x)).Slice(tensor.S(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got := predict(t, p, view.(*tensor.Dense)); !slices.Equal(got, want[10:30]) {
		t.Error("a slice is read from the wrong offset")
	}
	before := slices.Clone(x)
	y := predict(t, p, images(x))
	y[0] = 1e9
	if !slices.Equal(x, before) || slices.Equal(predict(t, p, images(x)), y) {
		t.Error("input or output share memory with the Predictor")
	}
}

// TestPredictorClose holds that calls after Close return ErrClosed, and that a call that has begun
// before Close returns the right result or ErrClosed.
func TestPredictorClose(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	x := pixels(t, 4)
	for range 5 {
		p := predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9"})
		want := predict(t, p, images(x))
		var wg sync.WaitGroup
		begun := make(chan struct{}, 8)
		for range 8 {
			wg.Go(func() {
				for {
					y, err := p.Predict(t.Context(), images(x))
					select {
					case begun <- struct{}{}:
					default:
					}
					if err != nil {
						if !errors.Is(err, backends.ErrClosed) {
							t.Errorf("got %v, want ErrClosed", err)
						}
						return
					}
					if !slices.Equal(y.Float32s(), want) {
						t.Error("a call during Close has other logits")
					}
				}
			})
		}
		<-begun
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if _, err := p.Predict(t.Context(), images(x)); !errors.Is(err, backends.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		if _, err := p.Evaluate(t.Context(), shapes(t, 4, 0), 2); !errors.Is(err, backends.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		if err := p.Close(); err != nil {
			t.Error("second Close:", err)
		}
	}
}

// TestPredictorOptions holds that a Predictor does not close the backend of the caller, that a plan
// can be pinned, and that wrong options are errors.
func TestPredictorOptions(t *testing.T) {
	leaksNothing(t)
	net := sparse(t)
	x := images(pixels(t, 2))
	backend := onCPU(t, 2)
	p := predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: backend})
	want := predict(t, p, x)
	if len(p.Plan().Choices) == 0 || p.Level() != "topk:0.9" || p.Backend().Threads != 2 || p.Info().Output().Classes[0] != "disc" {
		t.Errorf("plan %v, level %s, backend %v, info %v", p.Plan(), p.Level(), p.Backend(), p.Info())
	}
	pinned := predictor(t, net, sdk.PredictorOptions{Level: "topk:0.9", Backend: backend, Pin: p.Plan()})
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := predict(t, pinned, x); !slices.Equal(got, want) {
		t.Error("the pinned plan has other logits")
	}
	_, err := net.Predictor(t.Context(), sdk.PredictorOptions{Level: "dense", Pin: &backends.Plan{Choices: []backends.Choice{{Name: "nothing", Kernel: "direct"}}}})
	wantError(t, err, "level dense", "nothing")
	_, err = net.Predictor(t.Context(), sdk.PredictorOptions{})
	wantError(t, err, "dense, topk:0.9")
	_, err = net.Predictor(t.Context(), sdk.PredictorOptions{Level: "topk:0.7"})
	wantError(t, err, "topk:0.7", "dense, topk:0.9")
	if err := backend.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = net.Predictor(t.Context(), sdk.PredictorOptions{Level: "dense", Backend: backend})
	if !errors.Is(err, backends.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

// TestMemoryLimit holds that a limit is kept when a file is loaded and at each call, with an error
// that says so, and that a refused call changes nothing.
func TestMemoryLimit(t *testing.T) {
	leaksNothing(t)
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := sparse(t).Save(path); err != nil {
		t.Fatal(err)
	}
	var exceeded *backends.MemoryError
	o := sdk.PredictorOptions{Level: "topk:0.9", MemoryLimit: 1000}
	if _, err := sdk.LoadSparse(t.Context(), path, o); !errors.As(err, &exceeded) || exceeded.Limit != 1000 || exceeded.Want <= 1000 {
		t.Errorf("loading: got %v", err)
	}
	o.MemoryLimit = -1
	_, err := sdk.LoadSparse(t.Context(), path, o)
	wantError(t, err, "sdk: LoadSparse", "memory limit", "-1")
	o.MemoryLimit = 1 << 20
	p := load(t, path, o)
	defer p.Close()
	one := predict(t, p, images(pixels(t, 1)))
	if _, err := p.PredictFloats(t.Context(), pixels(t, 400)); !errors.As(err, &exceeded) || exceeded.Limit != 1<<20 {
		t.Errorf("400 images: got %v", err)
	}
	if !slices.Equal(one, predict(t, p, images(pixels(t, 1)))) {
		t.Error("after a refused call: other outputs")
	}
}

// TestPredictNamedRefuses holds that tensors of any content are errors, not panics.
func TestPredictNamedRefuses(t *testing.T) {
	p := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense"})
	image := []int{1, 3, 24, 24}
	for _, x := range []array.Tensor{
		{},
		{DType: array.F32},
		{DType: array.F32, Dims: image},
		{DType: array.F32, Dims: image, Data: make([]byte, 7)},
		{DType: array.F32, Dims: []int{0, 3, 24, 24}},
		{DType: array.F32, Dims: []int{-1, 3, 24, 24}},
		{DType: array.F32, Dims: []int{1 << 40, 1 << 40}},
		{DType: array.I32, Dims: image, Data: make([]byte, 4*3*24*24)},
		{DType: 99, Dims: image},
	} {
		_, err := p.PredictNamed(t.Context(), map[string]array.Tensor{"x": x})
		wantError(t, err, "sdk: PredictNamed", `"x"`)
	}
	_, err := p.PredictNamed(t.Context(), nil)
	wantError(t, err, "want the inputs x f32[3 24 24], got []")
}

// constant is a metric of a given name and value.
type constant struct {
	name  string
	value float64
	err   error
}

func (c constant) String() string                { return c.name }
func (c constant) HigherIsBetter() bool          { return true }
func (c constant) Start() metric.Meter           { return c }
func (c constant) Add(_, _ []array.Tensor) error { return c.err }
func (c constant) Value() float64                { return c.value }

// TestOwnMetrics holds that a metric without a valid name and a metric with an error end an
// evaluation and a training, and that a value of NaN does not.
func TestOwnMetrics(t *testing.T) {
	p := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense"})
	set := shapes(t, 4, 1)
	tr := tinyTrainer()
	tr.Epochs = 1
	for _, c := range []struct {
		constant
		text string
	}{
		{constant{name: ""}, "want a name"},
		{constant{name: "two\nlines"}, "want a name"},
		{constant{name: "\xff"}, "want a name"},
		{constant{name: "failing", err: errStop}, errStop.Error()},
	} {
		_, err := p.Evaluate(t.Context(), set, 3, c)
		wantError(t, err, "sdk: Evaluate", c.text)
		tr.Metrics = []metric.Metric{c}
		tr.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(t.TempDir(), "net.cram"), Best: c}
		_, err = tr.Fit(t.Context(), shapes(t, 16, 0), set)
		wantError(t, err, c.text)
	}
	nan := constant{name: "nan", value: math.NaN()}
	if s, err := p.Evaluate(t.Context(), set, 3, nan); err != nil || s.Examples != 4 || !math.IsNaN(s.Values["nan"]) {
		t.Errorf("a value that is NaN: %v, %v", s, err)
	}
	tr.Metrics, tr.Checkpoint.Best = []metric.Metric{nan}, nan
	fit(t, tr, shapes(t, 16, 0), set)
	if _, err := os.Stat(tr.Checkpoint.BestPath()); err == nil {
		t.Error("NaN is the best value")
	}
}

// TestWithoutTargets holds that a training and an evaluation on examples without targets need a
// loss and a metric that read no target.
func TestWithoutTargets(t *testing.T) {
	set, err := data.FromColumns([]data.Column{{Name: "x", Values: f32s(t, make([]float32, 12), 4, 3)}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	square := nn.LossFunc("square", func(p *nn.Pass, y, _ graph.Node) graph.Node { return p.Mean(p.Mul(y, y), false) })
	tr := sdk.Trainer{Model: mlp(2), Loss: square, Epochs: 1, Batch: 3}
	_, err = tr.Fit(t.Context(), set, set)
	wantError(t, err, "Trainer.Metrics", "examples without targets")
	p := predictor(t, fit(t, tr, set, nil))
	_, err = p.Evaluate(t.Context(), set, 2)
	wantError(t, err, "sdk: Evaluate", "examples without targets")
	if s, err := p.Evaluate(t.Context(), set, 2, constant{name: "one", value: 1}); err != nil || s.Examples != 4 {
		t.Errorf("with a metric: %v, %v", s, err)
	}
	tr.Loss = nn.MSE{}
	_, err = tr.Fit(t.Context(), set, nil)
	wantError(t, err, "MSE", "target")
}

// TestClassifyNonFinite holds that Classify returns an error unless the greatest logit is finite.
func TestClassifyNonFinite(t *testing.T) {
	eye := map[string]array.Tensor{"weight": f32s(t, []float32{1, 1}, 2)}
	scale := nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		return p.Mul(x, p.Param("weight", graph.Other, nn.Constant(1), 2))
	})
	net, err := sdk.FromWeights(scale, sdk.Info{Inputs: []sdk.Port{{Shape: graph.Batch(2)}}}, eye)
	if err != nil {
		t.Fatal(err)
	}
	p := predictor(t, net, sdk.PredictorOptions{AllowNonFinite: true})
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, x := range [][]float32{{1, inf}, {-inf, -inf}, {nan, 1}, {inf, nan}} {
		_, err := p.Classify(t.Context(), append([]float32{1, 2}, x...), 0)
		wantError(t, err, "sdk: Classify: example 1", "want finite logits")
	}
	rows, err := p.Classify(t.Context(), []float32{-inf, 1, 3e38, -3e38}, 7)
	if err != nil || len(rows[0]) != 2 || rows[0][0].Index != 1 || rows[0][0].Probability != 1 || rows[1][0].Probability != 1 {
		t.Errorf("got %v, %v", rows, err)
	}
}

// TestEvaluate holds that Evaluate returns the metrics that the test computes from logits, also if
// the last batch is smaller.
func TestEvaluate(t *testing.T) {
	p := predictor(t, sparse(t), sdk.PredictorOptions{Level: "dense"})
	const n = 23
	logits := predict(t, p, images(pixels(t, n)))
	correct, loss := 0, 0.0
	for i := range n {
		row := logits[i*10:][:10]
		label, sum := i%10, 0.0
		if slices.Index(row, slices.Max(row)) == label {
			correct++
		}
		for _, v := range row {
			sum += math.Exp(float64(v - row[label]))
		}
		loss += math.Log(sum) / n
	}
	got, err := p.Evaluate(t.Context(), shapes(t, n, 9), 7)
	if err != nil {
		t.Fatal(err)
	}
	if got.Examples != n || got.Values["accuracy"] != float64(correct)/n || math.Abs(got.Values["cross_entropy"]-loss) > 1e-6 {
		t.Errorf("got %+v, want %d correct of %d, loss %v", got, correct, n, loss)
	}
	_, err = p.Evaluate(t.Context(), nil, 7)
	wantError(t, err, "Evaluate", "nil")
	_, err = p.Evaluate(t.Context(), shapes(t, n, 9), 0)
	wantError(t, err, "Evaluate", "Loader.Batch", "got 0")
	many, err := data.FromSlices([]int{3, 24, 24}, make([]float32, 3*24*24), []int{10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Evaluate(t.Context(), many, 1)
	wantError(t, err, "want a class from 0 to 9, got 10")
	if array.Count(p.Info().Input().Example()) != 3*24*24 {
		t.Errorf("input shape %v", p.Info().Input().Example())
	}
}
