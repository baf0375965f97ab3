package sdk_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"reflect"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/metric"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// must keeps the examples short; a program handles its errors.
func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

// exampleTrainer is a training of a second.
func exampleTrainer() sdk.Trainer {
	return sdk.Trainer{
		Model:  models.CNN{Widths: []int{8, 8}, Classes: 10},
		Method: optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.9)),
		Epochs: 2, Batch: 32, Seed: 1,
	}
}

func Example() {
	dir := must(os.MkdirTemp("", "cram"))
	defer os.RemoveAll(dir)
	ctx := context.Background()
	train, validation := must(data.Shapes(64, 0)), must(data.Shapes(32, 1))

	// Once: train so that pruning will not hurt.
	t := sdk.Trainer{
		Model:  models.CNN{Widths: []int{8, 8}, Classes: 10},
		Method: optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.9)),
		Epochs: 2, Batch: 32, Seed: 1,
	}
	trained := must(t.Fit(ctx, train, validation))

	// Afterwards: to any level.
	small := must(sdk.Compress(ctx, trained, sdk.Calibration{Set: train}, compress.TopK(.5), compress.TopK(.9)))
	path := filepath.Join(dir, "net.cram")
	if err := small.Save(path); err != nil {
		log.Fatal(err)
	}

	// In a service that knows nothing of the model's code.
	p := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "topk:0.9"}))
	defer p.Close()
	x := tensor.New(tensor.WithShape(4, 3, 24, 24), tensor.Of(tensor.Float32))
	y := must(p.Predict(ctx, x))
	fmt.Println(small.Levels(), y.Shape())
	// Output: [topk:0.5 topk:0.9] (4, 10)
}

func ExampleTrainer_Fit() {
	t := exampleTrainer()
	t.OnEpoch = func(e sdk.Epoch) error {
		fmt.Printf("epoch %d of %d at rate %.3f, validated on %d\n", e.Epoch+1, e.Epochs, e.LR, e.Validation.Examples)
		return nil
	}
	net, err := t.Fit(context.Background(), must(data.Shapes(64, 0)), must(data.Shapes(32, 1)))
	fmt.Println(net.Levels(), err)
	// Output:
	// epoch 1 of 2 at rate 0.100, validated on 32
	// epoch 2 of 2 at rate 0.050, validated on 32
	// [dense] <nil>
}

// A training that is interrupted, here after its third step, goes on from its checkpoint when the
// same call is made again.
func ExampleCheckpointOptions() {
	dir := must(os.MkdirTemp("", "cram"))
	defer os.RemoveAll(dir)
	train := must(data.Shapes(64, 0))

	t := exampleTrainer()
	t.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(dir, "net.cram.part")}
	ctx, cancel := context.WithCancel(context.Background())
	t.OnStep = func(s sdk.Step) error {
		fmt.Print("step ", s.Step+1, " of ", s.Steps, "\n")
		if s.Step+1 == 3 {
			cancel() // as a signal would
		}
		return nil
	}
	_, err := t.Fit(ctx, train, nil)
	fmt.Println("interrupted:", err != nil)
	_, err = t.Fit(context.Background(), train, nil)
	fmt.Println("interrupted:", err != nil)
	// Output:
	// step 1 of 4
	// step 2 of 4
	// step 3 of 4
	// interrupted: true
	// step 4 of 4
	// interrupted: false
}

// Any function from weights to weights can be what a network is trained for: here one that rounds
// kernels to 15 values.
func ExampleTrainer_ownCompressor() {
	round := compress.Func("round15", func(_ context.Context, weights []compress.Weight) ([]compress.Compressed, error) {
		out := make([]compress.Compressed, len(weights))
		for i, w := range weights {
			if !w.Prunable() {
				continue
			}
			values := w.Data.Clone()
			largest := 0.0
			for _, v := range values.F32() {
				largest = max(largest, math.Abs(float64(v)))
			}
			for k, v := range values.F32() {
				values.F32()[k] = float32(math.Round(float64(v)/largest*7) / 7 * largest)
			}
			out[i] = compress.Compressed{Values: values}
		}
		return out, nil
	})
	t := exampleTrainer()
	t.Method = optim.CrAMPlus(0.1, round)
	ctx, train := context.Background(), must(data.Shapes(64, 0))
	net := must(t.Fit(ctx, train, nil))
	rounded := must(sdk.Compress(ctx, net, sdk.Calibration{Set: train, Batches: 10}, round))
	fmt.Println(rounded.Levels())
	// Output: [round15]
}

func ExampleCompress() {
	ctx, train := context.Background(), must(data.Shapes(64, 0))
	net := must(exampleTrainer().Fit(ctx, train, nil))
	small := must(sdk.Compress(ctx, net, sdk.Calibration{Set: train, Batches: 10}, compress.Identity{}, compress.TopK(.5), compress.NM{N: 2, M: 4}))
	for _, level := range small.Levels() {
		report := must(small.Report(level)).Total()
		fmt.Printf("%-8s %d of %d weights\n", level, report.Kept, report.Total)
	}
	// Output:
	// dense    872 of 872 weights
	// topk:0.5 436 of 872 weights
	// nm:2:4   544 of 872 weights
}

func ExampleNetwork_Save() {
	dir := must(os.MkdirTemp("", "cram"))
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "net.cram")
	net := must(exampleTrainer().Fit(context.Background(), must(data.Shapes(64, 0)), nil))
	fmt.Println(net.Save(path))
	// Output: <nil>
}

// What Open returns can be compressed further, or be the start of another training.
func ExampleOpen() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	net, err := sdk.Open(path)
	fmt.Println(net.Levels(), net.Info().Input().Example(), err)
	// Output: [dense topk:0.9] [3 24 24] <nil>
}

func ExampleOpenFS() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	net, err := sdk.OpenFS(os.DirFS(filepath.Dir(path)), "net.cram")
	fmt.Println(net.Levels(), err)
	// Output: [dense topk:0.9] <nil>
}

// Without a level named, the file must have one alone; the error lists them.
func ExampleLoadSparse() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	_, err := sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{})
	fmt.Println("an error:", err != nil)
	p, err := sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Level(), p.Info().Output().Classes[:3])
	// Output:
	// an error: true
	// topk:0.9 [disc ring square]
}

// A service replaces its model while it runs. A call that begins before the swap ends on the old
// one.
func ExampleLive() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	var live sdk.Live
	defer live.Close()
	for _, level := range []string{"dense", "topk:0.9"} {
		p, err := sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: level})
		if err != nil {
			log.Fatal(err) // a service would log it and keep the one before
		}
		if err := live.Swap(p); err != nil {
			log.Fatal(err)
		}
		y := must(live.Predict(context.Background(), tensor.New(tensor.WithShape(1, 3, 24, 24), tensor.Of(tensor.Float32))))
		err = live.Use(func(p *sdk.Predictor) error {
			fmt.Println(p.Level(), y.Shape())
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// dense (1, 10)
	// topk:0.9 (1, 10)
}

// The last two checkpoints and that of the best epoch are kept in addition to the newest.
func ExampleCheckpointOptions_best() {
	dir := must(os.MkdirTemp("", "cram"))
	defer os.RemoveAll(dir)
	t := sdk.Trainer{
		Model: models.SmallCNN(10), Epochs: 3, Batch: 50,
		Checkpoint: sdk.CheckpointOptions{Path: filepath.Join(dir, "net.part"), KeepLast: 2, Best: metric.CrossEntropy{}},
	}
	set := must(data.Shapes(100, 1))
	if _, err := t.Fit(context.Background(), set, set); err != nil {
		log.Fatal(err)
	}
	for _, e := range must(os.ReadDir(dir)) {
		fmt.Println(e.Name())
	}
	must(sdk.Open(t.Checkpoint.BestPath()))
	// Output:
	// net.part
	// net.part.best
	// net.part.step4
	// net.part.step6
}

func ExamplePredictor_Predict() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	p := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "topk:0.9"}))
	defer p.Close()

	image := must(data.ReadExample(must(data.Shapes(1, 5)), 0)).Inputs[0].F32()
	y, err := p.Predict(context.Background(), tensor.New(tensor.WithShape(1, 3, 24, 24), tensor.WithBacking(image)))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y.Shape(), len(y.Float32s()))
	_, err = p.Predict(context.Background(), tensor.New(tensor.WithShape(1, 3, 32, 32), tensor.Of(tensor.Float32)))
	fmt.Println(err)
	// Output:
	// (1, 10) 10
	// sdk: Predict: graph: input "x": want shape [N 3 24 24], got [1 3 32 32] (dimension 2)
}

// NaN is refused, with the place where it is, unless it is allowed.
func ExamplePredictorOptions_allowNonFinite() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	image := make([]float32, 3*24*24)
	image[7] = float32(math.NaN())
	x := tensor.New(tensor.WithShape(1, 3, 24, 24), tensor.WithBacking(image))
	for _, options := range []sdk.PredictorOptions{{Level: "dense"}, {Level: "dense", AllowNonFinite: true}} {
		p := must(sdk.LoadSparse(context.Background(), path, options))
		_, err := p.Predict(context.Background(), x)
		fmt.Println(err)
		p.Close()
	}
	// Output:
	// sdk: Predict: input x: element 7 of example 0 is NaN; clean the input or set PredictorOptions.AllowNonFinite
	// <nil>
}

// One backend, here the CPU with one thread, can run several predictors.
func ExamplePredictorOptions_backend() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	backend := must(cpu.New(cpu.Options{Threads: 1}))
	defer backend.Close()
	for _, level := range []string{"dense", "topk:0.9"} {
		p := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: level, Backend: backend}))
		fmt.Println(p.Level(), "on", p.Backend().Name, "with", p.Backend().Threads, "thread")
		p.Close()
	}
	// Output:
	// dense on cpu with 1 thread
	// topk:0.9 on cpu with 1 thread
}

// The kernels that one process chose can be fixed in another, so that both return the same bits.
func ExamplePredictorOptions_pin() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	first := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "topk:0.9"}))
	defer first.Close()
	plan := first.Plan()
	second := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "topk:0.9", Pin: plan}))
	defer second.Close()
	fmt.Println(len(plan.Choices), reflect.DeepEqual(plan, second.Plan()))
	// Output: 3 true
}

func ExamplePredictor_Evaluate() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	p := must(sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "dense"}))
	defer p.Close()
	score, err := p.Evaluate(context.Background(), must(data.Shapes(50, 1)), 16)
	accuracy := score.Values["accuracy"]
	fmt.Println(score.Examples, accuracy >= 0 && accuracy <= 1, err)
	// Output: 50 true <nil>
}

// Weights that were trained elsewhere are passed by name.
func ExampleFromWeights() {
	model := models.MLP{Hidden: []int{2}, Classes: 2}
	ones := func(dims ...int) array.Tensor {
		t := must(array.New(array.F32, dims...))
		for i := range t.F32() {
			t.F32()[i] = 1
		}
		return t
	}
	net, err := sdk.FromWeights(model, sdk.Info{Model: "mine", Inputs: []sdk.Port{{Shape: graph.Batch(3)}}}, map[string]array.Tensor{
		"fc1.weight": ones(2, 3), "fc1.bias": ones(2),
		"fc2.weight": ones(2, 2), "fc2.bias": ones(2),
	})
	if err != nil {
		log.Fatal(err)
	}
	p := must(net.Predictor(context.Background(), sdk.PredictorOptions{}))
	defer p.Close()
	y := must(p.Predict(context.Background(), tensor.New(tensor.WithShape(1, 3), tensor.WithBacking([]float32{1, 2, 3}))))
	fmt.Println(y.Float32s())
	// Output: [15 15]
}

// A model can be a function over layers. The names become the names of the weights.
func ExampleModel() {
	var model sdk.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		x = nn.ReLU(p, p.Apply("conv", nn.Conv2D{Out: 8, Kernel: 3, Stride: 2}, x))
		return p.Apply("fc", nn.Linear{Out: 10}, nn.GlobalAvgPool(p, x))
	})
	t := exampleTrainer()
	t.Model = model
	net, err := t.Fit(context.Background(), must(data.Shapes(64, 0)), nil)
	fmt.Println(net.Levels(), err)
	// Output: [dense] <nil>
}

// exampleFile saves a network of two levels in a temporary directory.
func exampleFile() string {
	ctx, train := context.Background(), must(data.Shapes(64, 0))
	net := must(exampleTrainer().Fit(ctx, train, nil))
	small := must(sdk.Compress(ctx, net, sdk.Calibration{Set: train, Batches: 10}, compress.Identity{}, compress.TopK(.9)))
	path := filepath.Join(must(os.MkdirTemp("", "cram")), "net.cram")
	if err := small.Save(path); err != nil {
		log.Fatal(err)
	}
	return path
}

// Classify returns class names with probabilities, and PredictFloats the logits, for plain slices.
func ExamplePredictor_Classify() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	p, err := sdk.LoadSparse(context.Background(), path, sdk.PredictorOptions{Level: "dense"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	images := make([]float32, 2*3*24*24) // two black images
	rows, err := p.Classify(context.Background(), images, 3)
	if err != nil {
		log.Fatal(err)
	}
	logits, err := p.PredictFloats(context.Background(), images)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(rows), "images,", len(rows[0]), "classes each;", len(logits), "logits")
	// Output: 2 images, 3 classes each; 20 logits
}

// The network of a file can be trained again without code of the model.
func ExampleNetwork_Model() {
	path := exampleFile()
	defer os.RemoveAll(filepath.Dir(path))
	net, err := sdk.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	t := exampleTrainer()
	if t.Model, err = net.Model(); err != nil {
		log.Fatal(err)
	}
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	again, err := t.Fit(context.Background(), train, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Levels(), again.Info().Input().Example())
	// Output: [dense] [3 24 24]
}
