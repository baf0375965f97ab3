package sdk_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// pointwise is a network whose statistics the test computes itself: batch norm of the image, a 1×1
// convolution, batch norm.
var pointwise = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("bn0", nn.BatchNorm{}, x)
	x = p.Apply("conv", nn.Conv2D{Out: 4, Kernel: 1, NoBias: true}, x)
	return p.Apply("fc", nn.Linear{Out: 10}, nn.GlobalAvgPool(p, p.Apply("bn1", nn.BatchNorm{}, x)))
})

// TestTuning holds that tuned statistics have their definition (paper §3): they begin at their
// reset values and average, with momentum 0.1, the means and unbiased variances of batches of the
// augmented sample. The test computes in float64; the tolerance of 1e-4 is for sums in float32.
func TestTuning(t *testing.T) {
	set := shapes(t, 50, 0)
	tr := tinyTrainer()
	tr.Model = pointwise
	net := fit(t, tr, set, nil)
	c := sdk.Calibration{Set: set, Augment: tr.Augment, Samples: 30, Batch: 8, Batches: 7, Seed: 3}
	small, err := sdk.Compress(t.Context(), net, c, compress.TopK(.5), compress.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	got, dense := tensorsOf(t, small, "topk:0.5"), tensorsOf(t, net, "dense")
	sample, err := data.Sample(set, 30, 3)
	if err != nil {
		t.Fatal(err)
	}
	loader := data.Loader{Set: sample, Batch: 8, Transforms: tr.Augment, Shuffle: true, Seed: 3, DropLast: true}
	want := map[string][]float64{
		"bn0.running_mean": {0, 0, 0}, "bn0.running_var": {1, 1, 1},
		"bn1.running_mean": {0, 0, 0, 0}, "bn1.running_var": {1, 1, 1, 1},
	}
	for done := 0; done < 7; {
		for b, err := range loader.Epoch(t.Context(), done/3, 0) {
			if err != nil {
				t.Fatal(err)
			}
			planes := planesOf(b)
			for i, p := range planes {
				planes[i] = track(want, "bn0", i, p, float64(got["bn0.weight"][i]), float64(got["bn0.bias"][i]))
			}
			for o := range 4 {
				y := make([]float64, len(planes[0]))
				for i, p := range planes {
					for k, v := range p {
						y[k] += float64(got["conv.weight"][o*3+i]) * v
					}
				}
				track(want, "bn1", o, y, 1, 0)
			}
			if done++; done == 7 {
				break
			}
		}
	}
	for name, w := range want {
		for i := range w {
			if d := math.Abs(float64(got[name][i]) - w[i]); !(d <= 1e-4*max(1, math.Abs(w[i]))) {
				t.Errorf("%s[%d] is %v, want %v", name, i, got[name][i], w[i])
			}
		}
		if slices.Equal(got[name], dense[name]) {
			t.Errorf("%s is equal to that of the training", name)
		}
	}
	if diff := cmp.Diff(dense, tensorsOf(t, small, "dense")); diff != "" {
		t.Error("the dense level has changed:", diff)
	}
	if diff := cmp.Diff(dense, tensorsOf(t, net, "dense")); diff != "" {
		t.Error("the network has changed:", diff)
	}
}

// planesOf returns the values of each channel over a batch.
func planesOf(b *data.Batch) [][]float64 {
	x := b.Inputs[0]
	n, c, hw := x.Dims[0], x.Dims[1], x.Dims[2]*x.Dims[3]
	planes := make([][]float64, c)
	for i := range n * c {
		for _, v := range x.F32()[i*hw:][:hw] {
			planes[i%c] = append(planes[i%c], float64(v))
		}
	}
	return planes
}

// track moves the running statistics of channel c of a batch norm by the values x, and returns the
// output of the batch norm.
func track(stats map[string][]float64, name string, c int, x []float64, gamma, beta float64) []float64 {
	n, mean, square := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		square += (v - mean) * (v - mean)
	}
	m, v := &stats[name+".running_mean"][c], &stats[name+".running_var"][c]
	*m = 0.9**m + 0.1*mean
	*v = 0.9**v + 0.1*square/(n-1)
	y := make([]float64, len(x))
	for i := range x {
		y[i] = gamma*(x[i]-mean)/math.Sqrt(square/n+1e-5) + beta
	}
	return y
}

// TestCompressLevels holds that the levels have the order of the compressors, that each has its own
// zeros and statistics, and that statistics without data are those of the dense level.
func TestCompressLevels(t *testing.T) {
	set := shapes(t, 40, 0)
	net := fit(t, tinyTrainer(), set, nil)
	cs := []compress.Compressor{compress.Identity{}, compress.TopK(.5), compress.NM{N: 2, M: 4}, compress.TopK(.9)}
	untuned, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, cs...)
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := sdk.Compress(t.Context(), net, sdk.Calibration{Set: set, Batch: 8, Batches: 3, Backend: onCPU(t, 2)}, cs...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sdk.Compress(t.Context(), net, sdk.Calibration{Set: set, Batch: 8, Batches: 3, Backend: onCPU(t, 1)}, cs...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dense", "topk:0.5", "nm:2:4", "topk:0.9"}, tuned.Levels()); diff != "" {
		t.Error(diff)
	}
	dense := tensorsOf(t, net, "dense")
	// of 216+576+80 weights; N:M leaves conv1 dense
	for level, zeros := range map[string]int{"topk:0.5": 436, "topk:0.9": 785, "nm:2:4": 328} {
		got := tensorsOf(t, tuned, level)
		n := 0
		for _, name := range []string{"conv1.weight", "conv2.weight", "fc.weight"} {
			for i, v := range got[name] {
				if v == 0 {
					n++
				} else if v != dense[name][i] {
					t.Errorf("%s: %s[%d] was %v and is %v", level, name, i, dense[name][i], v)
				}
			}
		}
		if n != zeros {
			t.Errorf("%s has %d zeros, want %d", level, n, zeros)
		}
		if slices.Equal(got["bn2.running_mean"], dense["bn2.running_mean"]) {
			t.Errorf("%s is not tuned", level)
		}
		if diff := cmp.Diff(got, tensorsOf(t, again, level)); diff != "" {
			t.Errorf("%s depends on the number of threads: %s", level, diff)
		}
		without := tensorsOf(t, untuned, level)
		if !slices.Equal(without["bn2.running_mean"], dense["bn2.running_mean"]) || !slices.Equal(without["bn2.running_var"], dense["bn2.running_var"]) {
			t.Errorf("%s: statistics moved without data", level)
		}
	}
	report, err := tuned.Report("nm:2:4")
	if err != nil {
		t.Fatal(err)
	}
	if row := report.Rows[0]; row.Name != "conv1.weight" || row.Skipped == "" || report.Total().Kept != 872-328 {
		t.Errorf("report:\n%v", report)
	}
	// A network of several levels is compressed from its dense one.
	once, err := sdk.Compress(t.Context(), tuned, sdk.Calibration{}, compress.TopK(.7))
	if err != nil {
		t.Fatal(err)
	}
	direct, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.TopK(.7))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tensorsOf(t, direct, ""), tensorsOf(t, once, "")); diff != "" {
		t.Error(diff)
	}
}

// TestCompressZeroWeights holds that a weight has the encoding of N:M only if an N:M compressor has
// masked it. A tensor of zeros has another encoding.
func TestCompressZeroWeights(t *testing.T) {
	decls, _, err := nn.Declare(tiny, graph.Floats("x", 3, 24, 24))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	clear(weights["conv1.weight"].Data) // 3 input channels: skipped by 2:4
	net, err := sdk.FromWeights(tiny, sdk.Info{Inputs: []sdk.Port{{Shape: graph.Batch(3, 24, 24)}}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.NM{N: 2, M: 4}, compress.NM{N: 4, M: 4}, compress.TopK(0), compress.TopK(1))
	if err != nil {
		t.Fatal(err)
	}
	f := fileOf(t, saved(t, small))
	if e := f.Levels[0].Tensors["conv2.weight"].Encoding; e != array.GroupNM {
		t.Errorf("conv2.weight is stored as %v, want %v", e, array.GroupNM)
	}
	for name, w := range tensorsOf(t, net, "dense") {
		if got := tensorsOf(t, small, "topk:0")[name]; !slices.Equal(got, w) {
			t.Errorf("topk:0 changes %s", name)
		}
	}
}

// TestCompressRefuses holds that wrong arguments and wrong results of compressors are errors of
// Compress.
func TestCompressRefuses(t *testing.T) {
	leaksNothing(t)
	set := shapes(t, 40, 0)
	net := fit(t, tinyTrainer(), set, nil)
	small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.TopK(.5), compress.TopK(.9))
	if err != nil {
		t.Fatal(err)
	}
	other, err := data.FromSlices([]int{1, 8, 8}, make([]float32, 64), []int{0}, nil)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	half := compress.TopK(.5)
	returns := func(out []compress.Compressed, err error) compress.Compressor {
		return compress.Func("own", func(context.Context, []compress.Weight) ([]compress.Compressed, error) { return out, err })
	}
	for name, c := range map[string]struct {
		net   *sdk.Network
		c     sdk.Calibration
		with  []compress.Compressor
		texts []string
	}{
		"nothing":        {net, sdk.Calibration{}, nil, []string{"at least one compressor"}},
		"nil compressor": {net, sdk.Calibration{}, []compress.Compressor{half, nil}, []string{"compressor 1", "want a compressor", "got nil"}},
		"nil network":    {nil, sdk.Calibration{}, []compress.Compressor{half}, []string{"want a network, got nil"}},
		"twice":          {net, sdk.Calibration{}, []compress.Compressor{half, half}, []string{"topk:0.5", "twice"}},
		"no dense level": {small, sdk.Calibration{}, []compress.Compressor{half}, []string{`"dense"`, "topk:0.5, topk:0.9"}},
		"sparsity":       {net, sdk.Calibration{}, []compress.Compressor{half, compress.TopK(2)}, []string{"compressor 1", "topk:2", "sparsity is 2"}},
		"compressor":     {net, sdk.Calibration{}, []compress.Compressor{returns(nil, boom)}, []string{"compressor own", "boom"}},
		"result":         {net, sdk.Calibration{}, []compress.Compressor{returns(make([]compress.Compressed, 2), nil)}, []string{"own", "want 8 results"}},
		"empty network":  {new(sdk.Network), sdk.Calibration{}, []compress.Compressor{half}, []string{"want a network, got an empty one", "Open"}},
		"negative batch": {net, sdk.Calibration{Set: set, Batch: -1}, []compress.Compressor{half}, []string{"Calibration", "-1"}},
		"no batches":     {net, sdk.Calibration{Set: set, Batches: -1}, []compress.Compressor{half}, []string{"Calibration", "-1"}},
		"other images":   {net, sdk.Calibration{Set: other}, []compress.Compressor{half}, []string{"Calibration.Set", "want examples with the inputs x f32[3 24 24]", "got x f32[1 8 8]"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sdk.Compress(t.Context(), c.net, c.c, c.with...)
			wantError(t, err, c.texts...)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sdk.Compress(ctx, net, sdk.Calibration{Set: set}, half); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the context ended", err)
	}
	var no *checkpoint.LevelError
	if _, err := small.Report("topk:0.7"); !errors.As(err, &no) {
		t.Errorf("got %v, want a LevelError", err)
	}
}

// TestFromWeightsRefuses holds that wrong arguments are errors of FromWeights, and that the error
// for weights lists all differences.
func TestFromWeightsRefuses(t *testing.T) {
	model := models.MLP{Hidden: []int{4}, Classes: 2}
	weight := func(dims ...int) array.Tensor {
		x, err := array.New(array.F32, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	weights := func() map[string]array.Tensor {
		return map[string]array.Tensor{"fc1.weight": weight(4, 6), "fc1.bias": weight(4), "fc2.weight": weight(2, 4), "fc2.bias": weight(2)}
	}
	info := sdk.Info{Inputs: []sdk.Port{{Shape: graph.Batch(6)}}}
	if _, err := sdk.FromWeights(model, info, weights()); err != nil {
		t.Fatal(err)
	}
	bad := weights()
	delete(bad, "fc1.bias")
	bad["fc1.weight"], bad["fc3.weight"] = weight(4, 7), weight(1)
	_, err := sdk.FromWeights(model, info, bad)
	wantError(t, err, "fc1.bias is missing", "fc1.weight: want f32[4 6], got f32[4 7]", "fc3.weight is unexpected")
	bad = weights()
	bad["fc1.bias"] = array.Tensor{DType: array.F32, Dims: []int{4}}
	_, err = sdk.FromWeights(model, info, bad)
	wantError(t, err, "fc1.bias", "want 16 bytes, got 0")
	_, err = sdk.FromWeights(nil, info, weights())
	wantError(t, err, "want a model, got nil")
	_, err = sdk.FromWeights(model, sdk.Info{}, weights())
	wantError(t, err, "want at least one input")
	info.Inputs[0].Mean = []float32{1}
	_, err = sdk.FromWeights(model, info, weights())
	wantError(t, err, "normalization", "got 1 and 0")
	info.Inputs[0].Mean, info.Inputs[0].Std = make([]float32, 6), make([]float32, 6)
	_, err = sdk.FromWeights(model, info, weights())
	wantError(t, err, "normalization", "finite std above 0")
	info.Inputs[0].Mean, info.Inputs[0].Std = nil, nil
	for text, outputs := range map[string][]sdk.Port{
		"the description has logits f32[N 2]": {{Name: "logits"}},
		"the description has 2":               {{}, {Name: "aux"}},
		"the description has output f32[N 3]": {{Shape: graph.Batch(3)}},
		"and 1 classes":                       {{Classes: []string{"one"}}},
	} {
		info.Outputs = outputs
		_, err = sdk.FromWeights(model, info, weights())
		wantError(t, err, "sdk: FromWeights", text)
	}

	w := weights()
	net, err := sdk.FromWeights(model, sdk.Info{Inputs: []sdk.Port{{Shape: graph.Batch(6)}}}, w)
	if err != nil {
		t.Fatal(err)
	}
	w["fc1.bias"].F32()[0] = 7
	if tensorsOf(t, net, "")["fc1.bias"][0] != 0 {
		t.Error("the network shares memory with the caller")
	}
}
