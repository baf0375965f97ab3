package naming

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// file is a Source in memory.
type file map[string]array.Tensor

func (f file) Names() []string { return slices.Sorted(maps.Keys(f)) }
func (f file) Tensor(name string) (array.Tensor, error) {
	t, ok := f[name]
	if !ok {
		return t, fmt.Errorf("no tensor %q", name)
	}
	return t, nil
}

// counting returns a tensor of 0, 1, 2, …
func counting(t *testing.T, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.New(array.F32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.F32() {
		x.F32()[i] = float32(i)
	}
	return x
}

// TestNames holds some names of each table; TestLibraries has all.
func TestNames(t *testing.T) {
	for _, c := range []struct{ library, family, ours, theirs string }{
		{"PyTorch", "", "layer1.0.conv1.weight", "layer1.0.conv1.weight"},
		{"transformers", "ResNet", "conv1.weight", "resnet.embedder.embedder.convolution.weight"},
		{"transformers", "ResNet", "bn1.running_var", "resnet.embedder.embedder.normalization.running_var"},
		{"transformers", "ResNet", "layer3.5.conv2.weight", "resnet.encoder.stages.2.layers.5.layer.1.convolution.weight"},
		{"transformers", "ResNet", "layer1.0.downsample.1.bias", "resnet.encoder.stages.0.layers.0.shortcut.normalization.bias"},
		{"transformers", "ResNet", "layer4.2.bn3.weight", "resnet.encoder.stages.3.layers.2.layer.2.normalization.weight"},
		{"transformers", "ResNet", "fc.bias", "classifier.1.bias"},
		{"timm", "VGG", "features.40.weight", "features.40.weight"},
		{"timm", "VGG", "classifier.0.weight", "pre_logits.fc1.weight"},
		{"timm", "VGG", "classifier.6.weight", "head.fc.weight"},
		{"transformers", "MobileNet v1", "conv_dw_1.weight", "mobilenet_v1.layer.0.convolution.weight"},
		{"transformers", "MobileNet v1", "conv_pw_13_bn.bias", "mobilenet_v1.layer.25.normalization.bias"},
		{"transformers", "MobileNet v1", "conv1_bn.weight", "mobilenet_v1.conv_stem.normalization.weight"},
		{"keras 2", "MobileNet v1", "conv_dw_12.weight", "conv_dw_12/depthwise_kernel"},
		{"keras 2", "MobileNet v1", "conv_pw_2.weight", "conv_pw_2/kernel"},
		{"keras 2", "MobileNet v1", "conv1_bn.running_mean", "conv1_bn/moving_mean"},
		{"keras 2", "MobileNet v1", "conv_preds.bias", "conv_preds/bias"},
	} {
		i := slices.IndexFunc(tables(), func(t table) bool { return t.library == c.library && t.family == c.family })
		if got, _, _ := tables()[i].theirs(c.ours); got != c.theirs {
			t.Errorf("%s %s: %s is %q, want %q", c.library, c.family, c.ours, got, c.theirs)
		}
	}
}

func TestLayouts(t *testing.T) {
	want := map[string][]int{"conv1.weight": {2, 3, 1, 2}, "conv_dw_1.weight": {3, 1, 1, 2}, "conv_preds.weight": {4, 3}, "conv1_bn.bias": {2}}
	from := file{
		"conv1/kernel":               counting(t, 1, 2, 3, 2),
		"conv_dw_1/depthwise_kernel": counting(t, 1, 2, 3, 1),
		"conv_preds/kernel":          counting(t, 1, 1, 3, 4),
		"conv1_bn/beta":              counting(t, 2),
	}
	got, r, err := Convert(want, from)
	if err != nil || r.Err() != nil || r.Library != "keras 2" {
		t.Fatal(r, r.Err(), err)
	}
	for name, elements := range map[string][]float32{
		"conv1.weight":      {0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11}, // w[o,c,p,q] = kernel[p,q,c,o]
		"conv_dw_1.weight":  {0, 3, 1, 4, 2, 5},
		"conv_preds.weight": {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11},
		"conv1_bn.bias":     {0, 1},
	} {
		if x := got[name]; !slices.Equal(x.F32(), elements) || !slices.Equal(x.Dims, want[name]) {
			t.Errorf("%s is %v %v, want %v", name, x.Dims, x.F32(), elements)
		}
	}
}

// TestHostileNames holds that the report quotes a name of a file that looks like a part of it.
func TestHostileNames(t *testing.T) {
	x := counting(t, 1)
	r := Report{
		Library: "PyTorch", Unexpected: []string{"a\nfc.bias is missing", "b\u202egnp", "c is missing", `d"`, "", "θ.weight"},
		Unfit: []Unfit{{"fc.bias", "e\r\x1b[2J", []int{3}, "has shape [4]"}}, Missing: []Missing{{"f", "g\nh"}},
	}
	want := strings.Join([]string{
		`naming: 8 names do not fit those of PyTorch: "g\nh" is missing (here: f)`, `"a\nfc.bias is missing" is unexpected`,
		`"b\u202egnp" is unexpected`, `"c is missing" is unexpected`, `"d\"" is unexpected`, `"" is unexpected`, `θ.weight is unexpected`,
		`"e\r\x1b[2J": has shape [4] (here: fc.bias [3])`,
	}, "; ")
	if got := r.Err().Error(); got != want {
		t.Errorf("the report says\n%s\nwant\n%s", got, want)
	}
	if _, r, err := Convert(map[string][]int{"w": {1}}, file{"w": x, "x\ny": x}); err != nil || r.Err() == nil || strings.Contains(r.Err().Error(), "\n") {
		t.Error(r.Err(), err)
	}
}

// TestStrict holds that the report lists everything that is wrong, with the names of the file.
func TestStrict(t *testing.T) {
	half, err := array.DenseValue(counting(t, 2)).Cast(array.F16)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := half.Decode()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int{"conv1.weight": {2, 1, 1, 1}, "bn1.weight": {2}, "bn1.bias": {2}, "fc.bias": {3}}
	from := file{
		"module.resnet.embedder.embedder.convolution.weight":   counting(t, 2, 1, 1, 1),
		"module.resnet.embedder.embedder.normalization.weight": narrow,
		"module.resnet.embedder.embedder.normalization.gamma":  counting(t, 2),
		"module.classifier.1.bias":                             counting(t, 4),
		"module.x.num_batches_tracked":                         counting(t, 1),
	}
	weights, r, err := Convert(want, from)
	if err != nil || weights != nil || r.Library != "transformers" || r.Prefix != "module." || len(r.LeftOut) != 1 || len(r.Widened) != 1 {
		t.Fatal(weights, r, err)
	}
	for _, text := range []string{
		"3 names do not fit",
		"resnet.embedder.embedder.normalization.bias is missing (here: bn1.bias)",
		"module.resnet.embedder.embedder.normalization.gamma is unexpected",
		"module.classifier.1.bias: has shape [4] (here: fc.bias [3])",
	} {
		if r.Err() == nil || !strings.Contains(r.Err().Error(), text) {
			t.Errorf("the report says %v, want %q", r.Err(), text)
		}
	}
	delete(from, "module.resnet.embedder.embedder.normalization.gamma")
	from["module.resnet.embedder.embedder.normalization.bias"] = counting(t, 2)
	from["module.classifier.1.bias"] = counting(t, 3)
	if weights, r, err = Convert(want, from); err != nil || r.Err() != nil || weights["bn1.weight"].F32()[1] != 1 {
		t.Error(weights, r, err)
	}
	integers, err := array.From([]int32{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	from["module.classifier.1.bias"] = integers
	if _, r, _ = Convert(want, from); r.Err() == nil || !strings.Contains(r.Err().Error(), "want dtype f32, f16 or bf16, got i32") {
		t.Error(r.Err())
	}
}
