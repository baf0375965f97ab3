package sdk_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn/models"
)

// TestPretrainedResNet20 is the proof that the forward pass is right: published weights must score their published 91.73 %
// on the whole CIFAR-10 test set.
func TestPretrainedResNet20(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: 10,000 images")
	}
	dir := testdata.Dir(t, "weights/resnet20-12fca82f.safetensors", "cifar-10-batches-bin")
	file, err := safetensors.Open(filepath.Join(dir, "weights/resnet20-12fca82f.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tensors, err := file.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	weights := map[string]graph.Tensor{}
	for name, x := range tensors {
		if !strings.HasSuffix(name, "num_batches_tracked") {
			weights[strings.TrimPrefix(name, "module.")] = x
		}
	}
	net, err := sdk.FromWeights(models.ResNet20A(10), sdk.Info{Input: sdk.Input{
		Shape: []int{3, 32, 32}, Mean: []float32{.485, .456, .406}, Std: []float32{.229, .224, .225},
	}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.Predictor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	set, err := data.CIFAR10(dir, data.Test)
	if err != nil {
		t.Fatal(err)
	}
	score, err := p.Evaluate(t.Context(), set, 128)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("accuracy %.2f %%, loss %.4f on %d images", 100*score.Accuracy, score.Loss, score.Examples)
	if a := 100 * score.Accuracy; a < 91.71 || a > 91.75 {
		t.Errorf("accuracy is %.2f %%, want 91.73 ± 0.02", a)
	}
}
