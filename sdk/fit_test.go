package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// tiny is a network with batch norm and dropout. Its second convolution has 8 input channels, so an
// N:M compressor prunes it.
var tiny = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("conv1", nn.Conv2D{Out: 8, Kernel: 3, Stride: 2, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn1", nn.BatchNorm{}, x))
	x = p.Apply("conv2", nn.Conv2D{Out: 8, Kernel: 3, Stride: 2, NoBias: true}, x)
	x = nn.ReLU(p, p.Apply("bn2", nn.BatchNorm{}, x))
	x = p.Apply("drop", nn.Dropout{P: 0.1}, nn.GlobalAvgPool(p, x))
	return p.Apply("fc", nn.Linear{Out: 10}, x)
})

// shapes returns n images of the procedural set.
func shapes(t testing.TB, n int, seed uint64) data.Set {
	t.Helper()
	set, err := data.Shapes(n, seed)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// tinyTrainer trains tiny on 40 images for 3 epochs of 3 batches, of 16, 16 and 8 images.
func tinyTrainer() sdk.Trainer {
	return sdk.Trainer{
		Model:     tiny,
		Method:    optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.9)),
		Optimizer: optim.SGD{Momentum: 0.9, WeightDecay: 5e-4},
		Schedule:  optim.Cosine{Peak: 0.05, WarmupEpochs: 1},
		Epochs:    3, Batch: 16, Seed: 7,
		Augment: []data.Transform{data.RandomCrop{Padding: 2}, data.RandomHorizontalFlip{}},
		Info:    sdk.Info{Model: "tiny", Data: "shapes"},
	}
}

func fit(t testing.TB, tr sdk.Trainer, train, validation data.Set) *sdk.Network {
	t.Helper()
	net, err := tr.Fit(t.Context(), train, validation)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// saved returns the bytes of the file of a network.
func saved(t testing.TB, net *sdk.Network) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := net.Save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onCPU returns a CPU backend that is closed at the end of the test.
func onCPU(t testing.TB, threads int) backends.Backend {
	t.Helper()
	b, err := cpu.New(cpu.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// wantError fails unless err contains all given texts. It also fails if err contains the name of a
// package twice.
func wantError(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one with %q", texts)
		return
	}
	for _, pkg := range []string{"sdk", "checkpoint", "graph", "nn", "optim", "compress", "data", "cpu", "backends"} {
		for line := range strings.Lines(err.Error()) {
			if strings.Count(": "+line, ": "+pkg+": ") > 1 {
				t.Errorf("error %q has %q twice", err, pkg)
			}
		}
	}
	for _, s := range texts {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not contain %q", err, s)
		}
	}
}

// leaksNothing fails if there are more goroutines at the end of the test than now.
func leaksNothing(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 200 { // goroutines may still be ending
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}

// TestFitLearns holds that a training learns: its accuracy is about 60 %, and chance is 10 %.
func TestFitLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: 280 steps of a CNN")
	}
	leaksNothing(t)
	var epochs []sdk.Epoch
	tr := sdk.Trainer{
		Model: models.SmallCNN(10), Method: optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.8)),
		Schedule: optim.Cosine{Peak: 0.1}, Epochs: 6, Batch: 32, Seed: 1,
		Normalize: data.Normalize{Mean: []float32{.32, .32, .32}, Std: []float32{.21, .21, .21}},
		OnEpoch:   func(e sdk.Epoch) error { epochs = append(epochs, e); return nil },
	}
	net := fit(t, tr, shapes(t, 1500, 0), shapes(t, 200, 1))
	first, last := epochs[0], epochs[len(epochs)-1]
	t.Logf("accuracy %.3f, then %.3f", first.Validation.Values["accuracy"], last.Validation.Values["accuracy"])
	if last.Validation.Values["accuracy"] < 0.35 || last.Loss > 0.8*first.Loss {
		t.Errorf("accuracy %.3f, loss %.3f after %.3f: the training does not learn", last.Validation.Values["accuracy"], last.Loss, first.Loss)
	}
	p, err := net.Predictor(t.Context(), sdk.PredictorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	score, err := p.Evaluate(t.Context(), shapes(t, 200, 1), 50)
	if err != nil {
		t.Fatal(err)
	}
	// logits of packed weights may differ in the last bits
	if score.Values["accuracy"] != last.Validation.Values["accuracy"] || math.Abs(score.Values["cross_entropy"]-last.Validation.Values["cross_entropy"]) > 1e-4 {
		t.Errorf("score of the network %+v, of its last validation %+v", score, *last.Validation)
	}
}

// TestCallbacks holds that OnStep and OnEpoch are called in order and with their values, and that
// Fit returns their errors.
func TestCallbacks(t *testing.T) {
	leaksNothing(t)
	var calls []string
	tr := tinyTrainer()
	tr.Epochs = 2
	tr.OnStep = func(s sdk.Step) error {
		calls = append(calls, fmt.Sprintf("step %d/%d of epoch %d/%d, %d examples, lr %.4f", s.Step, s.Steps, s.Progress.Epoch, s.Epochs, s.Examples, s.LR))
		if s.Compressor != "topk:0.5" && s.Compressor != "topk:0.9" {
			t.Errorf("step %d drew %q", s.Step, s.Compressor)
		}
		return nil
	}
	tr.OnEpoch = func(e sdk.Epoch) error {
		calls = append(calls, fmt.Sprintf("epoch %d/%d, lr %.4f, %d examples validated", e.Epoch, e.Epochs, e.LR, e.Validation.Examples))
		return nil
	}
	fit(t, tr, shapes(t, 40, 0), shapes(t, 20, 1))
	want := []string{
		"step 0/6 of epoch 0/2, 16 examples, lr 0.0500", "step 1/6 of epoch 0/2, 16 examples, lr 0.0500", "step 2/6 of epoch 0/2, 8 examples, lr 0.0500",
		"epoch 0/2, lr 0.0500, 20 examples validated",
		"step 3/6 of epoch 1/2, 16 examples, lr 0.0500", "step 4/6 of epoch 1/2, 16 examples, lr 0.0500", "step 5/6 of epoch 1/2, 8 examples, lr 0.0500",
		"epoch 1/2, lr 0.0500, 20 examples validated",
	}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Error(diff)
	}
	boom := errors.New("boom")
	tr.OnEpoch = func(sdk.Epoch) error { return boom }
	if _, err := tr.Fit(t.Context(), shapes(t, 40, 0), shapes(t, 20, 1)); !errors.Is(err, boom) {
		t.Errorf("got %v, want the error of the callback", err)
	}
}

// TestThreads holds that results depend neither on the number of threads nor on the run.
func TestThreads(t *testing.T) {
	train := shapes(t, 40, 0)
	var want []byte
	for _, threads := range []int{1, 2, 3, 2} {
		tr := tinyTrainer()
		tr.Backend = onCPU(t, threads)
		got := saved(t, fit(t, tr, train, nil))
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("%d threads: the file has other bytes than with 1", threads)
		}
	}
	tr := tinyTrainer()
	tr.Seed++
	if bytes.Equal(saved(t, fit(t, tr, train, nil)), want) {
		t.Error("the file does not depend on the seed: the test cannot fail")
	}
}

// TestTrainerRefuses holds that a wrong field of a Trainer is an error, and that no step is trained
// and no checkpoint written.
func TestTrainerRefuses(t *testing.T) {
	leaksNothing(t)
	train := shapes(t, 40, 0)
	nan := math.NaN()
	for name, c := range map[string]struct {
		change func(*sdk.Trainer)
		texts  []string
	}{
		"no model":         {func(tr *sdk.Trainer) { tr.Model = nil }, []string{"Trainer.Model: want a network"}},
		"no epochs":        {func(tr *sdk.Trainer) { tr.Epochs = 0 }, []string{"Trainer.Epochs: want at least 1, got 0"}},
		"no batch":         {func(tr *sdk.Trainer) { tr.Batch = -1 }, []string{"Trainer.Batch: want at least 1, got -1"}},
		"checkpoint every": {func(tr *sdk.Trainer) { tr.Checkpoint.Every = -1 }, []string{"Every: want 0 or more, got -1"}},
		"negative lr":      {func(tr *sdk.Trainer) { tr.Schedule = optim.Constant(-0.1) }, []string{"Trainer.Schedule", "constant(-0.1)", "above 0"}},
		"long warm-up":     {func(tr *sdk.Trainer) { tr.Schedule = optim.Cosine{Peak: 1, WarmupEpochs: 4} }, []string{"WarmupEpochs is 4 epochs", "0 to 3"}},
		"long warm-up of steps": {func(tr *sdk.Trainer) { tr.Schedule = optim.Linear{Peak: 1, WarmupSteps: 10} },
			[]string{"WarmupSteps is 10 steps", "0 to 9"}},
		"momentum":     {func(tr *sdk.Trainer) { tr.Optimizer = optim.SGD{Momentum: 1} }, []string{"Trainer.Optimizer", "Momentum is 1"}},
		"clip":         {func(tr *sdk.Trainer) { tr.Optimizer = optim.Clip{MaxNorm: 0, Optimizer: optim.SGD{}} }, []string{"MaxNorm is 0"}},
		"clip nothing": {func(tr *sdk.Trainer) { tr.Optimizer = optim.Clip{MaxNorm: 1} }, []string{"Optimizer is nil"}},
		"rho":          {func(tr *sdk.Trainer) { tr.Method = optim.SAM(nan) }, []string{"Trainer.Method", "Rho is NaN"}},
		"group": {func(tr *sdk.Trainer) {
			tr.Optimizer = optim.Groups{{Name: "kernels", Match: compress.Meta.Prunable, Optimizer: optim.SGD{}}}
		}, []string{"bn1.weight", "no group"}},
		"frozen all":    {func(tr *sdk.Trainer) { tr.Freeze = func(string) bool { return true } }, []string{"want at least one parameter to train"}},
		"normalise":     {func(tr *sdk.Trainer) { tr.Normalize.Mean = []float32{0} }, []string{"mean and a std for each channel"}},
		"sparsity":      {func(tr *sdk.Trainer) { tr.Method = optim.CrAM(.1, compress.TopK(1.5)) }, []string{"topk:1.5", "sparsity is 1.5"}},
		"transform":     {func(tr *sdk.Trainer) { tr.Augment = []data.Transform{nil} }, []string{"Transforms[0]: want a Transform, got nil"}},
		"zero init":     {func(tr *sdk.Trainer) { tr.Init = new(sdk.Network) }, []string{"want a network, got an empty one"}},
		"model":         {func(tr *sdk.Trainer) { tr.Model = nn.Conv2D{} }, []string{"sdk: model", "want Out of at least 1, got 0"}},
		"own schedule":  {func(tr *sdk.Trainer) { tr.Schedule = broken{} }, []string{"epoch 0, step 0", "broken", "NaN"}},
		"own move":      {func(tr *sdk.Trainer) { tr.Method.Points[1].Move = forgetful{} }, []string{"move forgetful", "want all 8 parameters, got 7"}},
		"own optimizer": {func(tr *sdk.Trainer) { tr.Optimizer = forgetful{} }, []string{"optimizer forgetful", "all 8 parameters, got 7"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tinyTrainer()
			c.change(&tr)
			tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
			_, err := tr.Fit(t.Context(), train, nil)
			wantError(t, err, c.texts...)
			if _, err := os.Stat(tr.Checkpoint.Path); err == nil {
				t.Error("there is a checkpoint of a training that did not begin")
			}
		})
	}
	_, err := tinyTrainer().Fit(t.Context(), nil, nil)
	wantError(t, err, "training set", "nil")
	small, err := data.FromSlices([]int{3, 8, 8}, make([]float32, 3*8*8), []int{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := tinyTrainer()
	tr.OnStep = func(sdk.Step) error { t.Error("a step was trained"); return nil }
	_, err = tr.Fit(t.Context(), train, small)
	wantError(t, err, "validation set", "[3 24 24]", "[3 8 8]")
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "missing", "part.cram")
	_, err = tr.Fit(t.Context(), train, nil)
	wantError(t, err, "Trainer.Checkpoint.Path", "missing")
}

// broken is a schedule without the method Check.
type broken struct{}

func (broken) String() string            { return "broken" }
func (broken) LR(optim.Progress) float64 { return math.NaN() }

// forgetful is a move and an optimizer that leave out the last parameter.
type forgetful struct{}

func (forgetful) String() string { return "forgetful" }

func (forgetful) Apply(_ *graph.Builder, w optim.Weights, _ []optim.Grads) optim.Weights {
	return w[:len(w)-1]
}

func (forgetful) Update(_ *graph.Builder, w optim.Weights, g optim.Grads, _ optim.Clock) []graph.Node {
	return g[:len(w)-1]
}

// TestDivergence holds that a loss that is not finite ends the training with ErrDiverged, and that
// no checkpoint of such weights is written.
func TestDivergence(t *testing.T) {
	tr := tinyTrainer()
	tr.Schedule, tr.Method, tr.Optimizer = optim.Constant(1e38), optim.Plain(), optim.SGD{}
	tr.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(t.TempDir(), "part.cram")}
	_, err := tr.Fit(t.Context(), shapes(t, 40, 0), nil)
	if !errors.Is(err, sdk.ErrDiverged) {
		t.Fatalf("got %v, want ErrDiverged", err)
	}
	wantError(t, err, "epoch 0, step", "learning rate 1e+38", "optim.Clip")
	if _, err := os.Stat(tr.Checkpoint.Path); err == nil {
		t.Error("there is a checkpoint of weights that are not finite")
	}
}

// tensorsOf returns the tensors of a level from the file of a network.
func tensorsOf(t testing.TB, net *sdk.Network, level string) map[string][]float32 {
	t.Helper()
	b := saved(t, net)
	r, err := checkpoint.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := r.Level(level)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for name, v := range l.Tensors {
		x, err := v.Decode()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = x.F32()
	}
	return out
}

// TestFreeze holds that frozen parameters do not change, that the compressor gets them, and that
// the gradient of the others is taken at their compressed values.
func TestFreeze(t *testing.T) {
	train := shapes(t, 40, 0)
	frozen := []string{"conv2.weight", "bn1.bias"}
	seen := map[string]bool{}
	spy := compress.Func("spy", func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		for _, x := range w {
			seen[x.Name] = true
		}
		return compress.TopK(.5).Compress(ctx, w)
	})
	tr := tinyTrainer()
	tr.Epochs, tr.Schedule = 1, optim.Constant(0.05)
	tr.Init = fit(t, tr, train, nil)
	before := tensorsOf(t, tr.Init, "dense")
	tr.Freeze = func(name string) bool { return slices.Contains(frozen, name) }
	for name, e := range map[string]optim.Method{
		"plain": optim.Plain(), "sam": optim.SAM(.05), "cram+": optim.CrAMPlus(.1, compress.TopK(.5)),
		"nm": optim.CrAMPlus(.1, compress.NM{N: 2, M: 4}), "host": optim.CrAMPlus(.1, spy),
	} {
		t.Run(name, func(t *testing.T) {
			tr := tr
			tr.Method = e
			net := fit(t, tr, train, nil)
			after := tensorsOf(t, net, "dense")
			for _, name := range []string{"conv1.weight", "conv2.weight", "bn1.weight", "bn1.bias", "fc.weight"} {
				same := slices.Equal(before[name], after[name])
				if want := slices.Contains(frozen, name); same != want {
					t.Errorf("%s: unchanged is %v, want %v", name, same, want)
				}
			}
			if recipe := net.Info().Recipe; !strings.Contains(recipe, "frozen bn1.bias conv2.weight") {
				t.Errorf("the recipe does not list the frozen parameters: %s", recipe)
			}
		})
	}
	if !seen["conv2.weight"] {
		t.Error("the compressor did not get a frozen weight")
	}
	conv1 := func(c compress.Compressor) []float32 {
		tr := tr
		tr.Method = optim.CrAM(0, c)
		return tensorsOf(t, fit(t, tr, train, nil), "dense")["conv1.weight"]
	}
	if slices.Equal(conv1(compress.Identity{}), conv1(compress.Only(compress.TopK(.9), "conv2.weight"))) {
		t.Error("the compression of a frozen weight changes no gradient")
	}
}

// TestInit holds that a training begins with the weights of Init, and that the error for a network
// of another model lists all differences.
func TestInit(t *testing.T) {
	train := shapes(t, 40, 0)
	tr := tinyTrainer()
	tr.Epochs, tr.Schedule = 1, optim.Constant(1e-30) // moves the statistics alone
	net := fit(t, tr, train, nil)
	again := tr
	again.Seed++
	if slices.Equal(tensorsOf(t, fit(t, again, train, nil), "")["fc.weight"], tensorsOf(t, net, "")["fc.weight"]) {
		t.Error("the initial weights do not depend on the seed")
	}
	again.Init = net
	got, want := tensorsOf(t, fit(t, again, train, nil), ""), tensorsOf(t, net, "")
	if !slices.Equal(got["fc.weight"], want["fc.weight"]) || slices.Equal(got["bn1.running_mean"], want["bn1.running_mean"]) {
		t.Error("the training does not begin with the weights of the network")
	}

	tr.Init = net
	tr.Model = models.CNN{Widths: []int{8, 16}, Classes: 10}
	_, err := tr.Fit(t.Context(), train, nil)
	wantError(t, err, "want the weights of the model", "bn2.weight: want f32[16], got f32[8]", "conv2.weight: want f32[16 8 3 3], got f32[8 8 3 3]", "fc.weight: want f32[10 16], got f32[10 8]")
	tr.Model = models.MLP{Hidden: []int{4}, Classes: 10}
	_, err = tr.Fit(t.Context(), train, nil)
	wantError(t, err, "fc1.weight is missing", "conv1.weight is unexpected")

	small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.TopK(.5))
	if err != nil {
		t.Fatal(err)
	}
	tr = tinyTrainer()
	tr.Init = small
	_, err = tr.Fit(t.Context(), train, nil)
	wantError(t, err, "initial weights", `no level "dense"`, "topk:0.5")
}

// TestOwnLoss holds that the loss of a LossFunc is reported, and that its gradient is taken.
func TestOwnLoss(t *testing.T) {
	var losses [2][]float64
	for i, scale := range []float64{1, 2} {
		tr := tinyTrainer()
		tr.Epochs, tr.Method, tr.Optimizer = 1, optim.Plain(), optim.SGD{}
		tr.Loss = nn.LossFunc("scaled", func(p *nn.Pass, output, target graph.Node) graph.Node {
			return p.Scale(nn.CrossEntropy{}.Loss(p, output, target), scale)
		})
		tr.OnStep = func(s sdk.Step) error { losses[i] = append(losses[i], s.Loss); return nil }
		fit(t, tr, shapes(t, 40, 0), nil)
	}
	if losses[1][0] != 2*losses[0][0] {
		t.Errorf("first loss %v, doubled %v", losses[0][0], losses[1][0])
	}
	if losses[1][2] == 2*losses[0][2] {
		t.Error("the doubled loss trains the same weights")
	}
	tr := tinyTrainer()
	tr.Loss = nn.LossFunc("none", func(_ *nn.Pass, output, _ graph.Node) graph.Node { return output })
	_, err := tr.Fit(t.Context(), shapes(t, 40, 0), nil)
	wantError(t, err, "training step", "scalar")
}

// TestReferenceBackend holds that 3 steps on the reference backend have the same losses, of about
// 2.3, as on the CPU. The tolerance of 1e-4 is for float32 sums in another order.
func TestReferenceBackend(t *testing.T) {
	losses := func(b sdk.Backend) (got []float64) {
		tr := tinyTrainer()
		tr.Epochs, tr.Backend = 1, b
		tr.OnStep = func(s sdk.Step) error { got = append(got, s.Loss); return nil }
		fit(t, tr, shapes(t, 40, 0), nil)
		return got
	}
	got, want := losses(onCPU(t, 2)), losses(reference.New())
	for i := range want {
		if d := math.Abs(got[i] - want[i]); !(d <= 1e-4) {
			t.Errorf("step %d: loss %v on the cpu, %v on the reference", i, got[i], want[i])
		}
	}
}
