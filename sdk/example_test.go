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

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shapes.cram")
	train, err := data.Shapes(64, 0) // images of ten shapes, which the package draws
	if err != nil {
		log.Fatal(err)
	}

	trainer := sdk.Trainer{
		Model:  models.SmallCNN(10),
		Method: optim.CrAMPlus(0.05, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9)),
		Epochs: 2,
		Batch:  32,
	}
	trained, err := trainer.Fit(ctx, train, nil)
	if err != nil {
		log.Fatal(err)
	}

	calibration := sdk.Calibration{Set: train}
	pruned, err := sdk.Compress(ctx, trained, calibration, compress.TopK(.5), compress.TopK(.9))
	if err != nil {
		log.Fatal(err)
	}
	err = pruned.Save(path)
	if err != nil {
		log.Fatal(err)
	}

	p, err := sdk.LoadSparse(ctx, path, sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	images := make([]float32, 2*3*24*24) // two black images
	rows, err := p.Classify(ctx, images, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pruned.Levels(), len(rows), "predictions")
	// Output: [topk:0.5 topk:0.9] 2 predictions
}

func ExampleTrainer_Fit() {
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	validation, err := data.Shapes(32, 1)
	if err != nil {
		log.Fatal(err)
	}
	t := sdk.Trainer{
		Model:    models.CNN{Widths: []int{8, 8}, Classes: 10},
		Method:   optim.CrAMPlus(0.1, compress.TopK(.5), compress.TopK(.9)),
		Schedule: optim.Cosine{Peak: 0.1},
		Epochs:   2,
		Batch:    32,
		Seed:     1,
		OnEpoch: func(e sdk.Epoch) error {
			fmt.Printf("epoch %d of %d at rate %.3f, validated on %d\n", e.Epoch+1, e.Epochs, e.LR, e.Validation.Examples)
			return nil
		},
	}
	net, err := t.Fit(context.Background(), train, validation)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Levels())
	// Output:
	// epoch 1 of 2 at rate 0.100, validated on 32
	// epoch 2 of 2 at rate 0.050, validated on 32
	// [dense]
}

// A training is interrupted after its third step. The second call of Fit resumes it from its
// checkpoint.
func ExampleCheckpointOptions() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t := sdk.Trainer{
		Model:      models.SmallCNN(10),
		Epochs:     2,
		Batch:      32,
		Checkpoint: sdk.CheckpointOptions{Path: filepath.Join(dir, "net.cram.part")},
		OnStep: func(s sdk.Step) error {
			fmt.Println("step", s.Step+1, "of", s.Steps)
			if s.Step+1 == 3 {
				cancel() // in a program: a signal
			}
			return nil
		},
	}
	_, err = t.Fit(ctx, train, nil)
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

// The last two checkpoints and that of the best epoch are kept in addition to the newest.
func ExampleCheckpointOptions_best() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	set, err := data.Shapes(100, 1)
	if err != nil {
		log.Fatal(err)
	}
	t := sdk.Trainer{
		Model:  models.SmallCNN(10),
		Epochs: 3,
		Batch:  50,
		Checkpoint: sdk.CheckpointOptions{
			Path:     filepath.Join(dir, "net.part"),
			KeepLast: 2,
			Best:     metric.CrossEntropy{},
		},
	}
	if _, err := t.Fit(context.Background(), set, set); err != nil {
		log.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		fmt.Println(f.Name())
	}
	best, err := sdk.Open(t.Checkpoint.BestPath())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(best.Levels())
	// Output:
	// net.part
	// net.part.best
	// net.part.step4
	// net.part.step6
	// [dense]
}

// A network can be trained for any function from weights to weights. This one rounds kernels to 15
// values.
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
	ctx := context.Background()
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	t := sdk.Trainer{Model: models.SmallCNN(10), Method: optim.CrAMPlus(0.1, round), Epochs: 1, Batch: 32}
	net, err := t.Fit(ctx, train, nil)
	if err != nil {
		log.Fatal(err)
	}
	rounded, err := sdk.Compress(ctx, net, sdk.Calibration{Set: train, Batches: 10}, round)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rounded.Levels())
	// Output: [round15]
}

// A model can be a function over layers. The names of the scopes become the names of the weights.
func ExampleModel() {
	var model sdk.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
		x = nn.ReLU(p, p.Apply("conv", nn.Conv2D{Out: 8, Kernel: 3, Stride: 2}, x))
		return p.Apply("fc", nn.Linear{Out: 10}, nn.GlobalAvgPool(p, x))
	})
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	net, err := sdk.Trainer{Model: model, Epochs: 1, Batch: 32}.Fit(context.Background(), train, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Levels())
	// Output: [dense]
}

func ExampleCompress() {
	ctx := context.Background()
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	pruned, err := sdk.Compress(ctx, net, sdk.Calibration{Set: train, Batches: 10},
		compress.Identity{}, compress.TopK(.5), compress.NM{N: 2, M: 4})
	if err != nil {
		log.Fatal(err)
	}
	for _, level := range pruned.Levels() {
		report, err := pruned.Report(level)
		if err != nil {
			log.Fatal(err)
		}
		total := report.Total()
		fmt.Printf("%-8s %d of %d weights\n", level, total.Kept, total.Total)
	}
	// Output:
	// dense    872 of 872 weights
	// topk:0.5 436 of 872 weights
	// nm:2:4   544 of 872 weights
}

// Batch-norm statistics are estimated from 20 batches of 16, drawn from 40 augmented examples.
func ExampleCalibration() {
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	calibration := sdk.Calibration{
		Set:     train,
		Augment: []data.Transform{data.RandomCrop{Padding: 2}},
		Samples: 40,
		Batch:   16,
		Batches: 20,
	}
	pruned, err := sdk.Compress(context.Background(), net, calibration, compress.TopK(.9))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pruned.Levels())
	// Output: [topk:0.9]
}

func ExampleNetwork_Save() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Save(filepath.Join(dir, "copy.cram")))
	// Output: <nil>
}

// An opened network can be compressed further, or be the start of another training.
func ExampleOpen() {
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Levels(), net.Info().Input().Example())
	// Output: [dense topk:0.9] [3 24 24]
}

func ExampleOpenFS() {
	net, err := sdk.OpenFS(os.DirFS("testdata"), "shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Levels())
	// Output: [dense topk:0.9]
}

// The network of a file can be trained again without code of the model.
func ExampleNetwork_Model() {
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	model, err := net.Model()
	if err != nil {
		log.Fatal(err)
	}
	train, err := data.Shapes(64, 0)
	if err != nil {
		log.Fatal(err)
	}
	again, err := sdk.Trainer{Model: model, Epochs: 1, Batch: 32}.Fit(context.Background(), train, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Levels(), again.Info().Input().Example())
	// Output: [dense] [3 24 24]
}

// Weights that were trained elsewhere are passed by name.
func ExampleFromWeights() {
	weights := map[string]array.Tensor{}
	for name, dims := range map[string][]int{"fc1.weight": {2, 3}, "fc1.bias": {2}, "fc2.weight": {2, 2}, "fc2.bias": {2}} {
		t, err := array.New(array.F32, dims...)
		if err != nil {
			log.Fatal(err)
		}
		for i := range t.F32() {
			t.F32()[i] = 1
		}
		weights[name] = t
	}
	model := models.MLP{Hidden: []int{2}, Classes: 2}
	info := sdk.Info{Model: "mlp", Inputs: []sdk.Port{{Shape: graph.Batch(3)}}}
	net, err := sdk.FromWeights(model, info, weights)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	p, err := net.Predictor(ctx, sdk.PredictorOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	y, err := p.PredictFloats(ctx, []float32{1, 2, 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y)
	// Output: [15 15]
}

// The file has two levels. Without a level in the options LoadSparse returns an error that lists
// them.
func ExampleLoadSparse() {
	ctx := context.Background()
	_, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{})
	fmt.Println("an error:", err != nil)
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println(p.Level(), p.Info().Output().Classes[:3])
	// Output:
	// an error: true
	// topk:0.9 [disc ring square]
}

func ExampleNetwork_Predictor() {
	ctx := context.Background()
	net, err := sdk.Open("testdata/shapes.cram")
	if err != nil {
		log.Fatal(err)
	}
	for _, level := range net.Levels() {
		p, err := net.Predictor(ctx, sdk.PredictorOptions{Level: level})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Level(), p.Info().Outputs[0].Name)
		if err := p.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// dense output
	// topk:0.9 output
}

func ExamplePredictor_Predict() {
	ctx := context.Background()
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	x := tensor.New(tensor.WithShape(2, 3, 24, 24), tensor.WithBacking(make([]float32, 2*3*24*24)))
	y, err := p.Predict(ctx, x)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(y.Shape(), len(y.Float32s()))
	_, err = p.Predict(ctx, tensor.New(tensor.WithShape(1, 3, 32, 32), tensor.Of(tensor.Float32)))
	fmt.Println(err)
	// Output:
	// (2, 10) 20
	// sdk: Predict: graph: input "x": want shape [N 3 24 24], got [1 3 32 32] (dimension 2)
}

func ExamplePredictor_PredictFloats() {
	ctx := context.Background()
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "dense"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	images := make([]float32, 2*3*24*24) // two black images
	logits, err := p.PredictFloats(ctx, images)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(logits), "logits")
	// Output: 20 logits
}

// The names are those of the ports in Info.
func ExamplePredictor_PredictNamed() {
	ctx := context.Background()
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "dense"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	x, err := array.New(array.F32, 2, 3, 24, 24)
	if err != nil {
		log.Fatal(err)
	}
	outputs, err := p.PredictNamed(ctx, map[string]array.Tensor{"x": x})
	if err != nil {
		log.Fatal(err)
	}
	for name, y := range outputs {
		fmt.Println(name, y.DType, y.Dims)
	}
	// Output: output f32 [2 10]
}

func ExamplePredictor_Classify() {
	ctx := context.Background()
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "dense"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	images := make([]float32, 2*3*24*24) // two black images
	rows, err := p.Classify(ctx, images, 3)
	if err != nil {
		log.Fatal(err)
	}
	for i, row := range rows {
		best := row[0]
		named := best.Name == p.Info().Output().Classes[best.Index]
		fmt.Println("image", i, "has", len(row), "classes, the first with its name:", named)
	}
	// Output:
	// image 0 has 3 classes, the first with its name: true
	// image 1 has 3 classes, the first with its name: true
}

func ExamplePredictor_Evaluate() {
	ctx := context.Background()
	p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "dense"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	test, err := data.Shapes(50, 1)
	if err != nil {
		log.Fatal(err)
	}
	score, err := p.Evaluate(ctx, test, 16, metric.Accuracy{}, metric.CrossEntropy{})
	if err != nil {
		log.Fatal(err)
	}
	accuracy := score.Values["accuracy"]
	fmt.Println(score.Examples, len(score.Values), accuracy >= 0 && accuracy <= 1)
	// Output: 50 2 true
}

// NaN is an error that names the element, unless it is allowed.
func ExamplePredictorOptions_allowNonFinite() {
	ctx := context.Background()
	image := make([]float32, 3*24*24)
	image[7] = float32(math.NaN())
	for _, options := range []sdk.PredictorOptions{{Level: "dense"}, {Level: "dense", AllowNonFinite: true}} {
		p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", options)
		if err != nil {
			log.Fatal(err)
		}
		_, err = p.PredictFloats(ctx, image)
		fmt.Println(err)
		p.Close()
	}
	// Output:
	// sdk: PredictFloats: input x: element 7 of example 0 is NaN; clean the input or set PredictorOptions.AllowNonFinite
	// <nil>
}

// One backend runs both predictors, on one thread of the processor.
func ExamplePredictorOptions_backend() {
	backend, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Close()
	for _, level := range []string{"dense", "topk:0.9"} {
		options := sdk.PredictorOptions{Level: level, Backend: backend}
		p, err := sdk.LoadSparse(context.Background(), "testdata/shapes.cram", options)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Level(), "on", p.Backend().Name, "with", p.Backend().Threads, "thread")
		p.Close()
	}
	// Output:
	// dense on cpu with 1 thread
	// topk:0.9 on cpu with 1 thread
}

// The kernels that one process chose can be fixed in another one, so that both return the same
// bits.
func ExamplePredictorOptions_pin() {
	ctx := context.Background()
	first, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "topk:0.9"})
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	plan := first.Plan()
	second, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: "topk:0.9", Pin: plan})
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	fmt.Println(len(plan.Choices), reflect.DeepEqual(plan, second.Plan()))
	// Output: 3 true
}

// A service replaces its model while it runs.
func ExampleLive() {
	ctx := context.Background()
	var live sdk.Live
	defer live.Close()
	for _, level := range []string{"dense", "topk:0.9"} {
		p, err := sdk.LoadSparse(ctx, "testdata/shapes.cram", sdk.PredictorOptions{Level: level})
		if err != nil {
			log.Fatal(err) // a service logs it and keeps the model that it has
		}
		if err := live.Swap(p); err != nil {
			log.Fatal(err)
		}
		err = live.Use(func(p *sdk.Predictor) error {
			logits, err := p.PredictFloats(ctx, make([]float32, 3*24*24))
			fmt.Println(p.Level(), len(logits))
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// dense 10
	// topk:0.9 10
}
