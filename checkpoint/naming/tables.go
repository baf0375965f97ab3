package naming

// A layout states how a library stores a tensor.
type layout uint8

// The layouts. o, i, h and w are output channels, input channels, height and width of a kernel, and
// c is the channels of a depthwise convolution.
const (
	asIs layout = iota
	hwio        // a kernel [H W I O], where ours is [O I H W], or [O I] for H = W = 1
	hwc         // a depthwise kernel [H W C 1], where ours is [C 1 H W]
	// a kernel [O I H W] that covers its whole input, where ours is linear: [O I·H·W]
	flattened
)

// A rule gives names of cram that match ours the library's name and layout.
type rule struct {
	ours, theirs string
	layout       layout
}

// A table has the names of one library for one family of networks.
type table struct {
	library string
	family  string // "": any
	rules   []rule
}

// tables returns all tables. Of two that match equally many names, Convert uses the first.
func tables() []table {
	return []table{
		// the names of torchvision, timm's ResNet and cram
		{"PyTorch", "", []rule{{"*", "*", asIs}}},
		{"transformers", "ResNet", []rule{
			{"conv1.*", "resnet.embedder.embedder.convolution.*", asIs},
			{"bn1.*", "resnet.embedder.embedder.normalization.*", asIs},
			{"layer{s}.{b}.downsample.0.*", "resnet.encoder.stages.{s-1}.layers.{b}.shortcut.convolution.*", asIs},
			{"layer{s}.{b}.downsample.1.*", "resnet.encoder.stages.{s-1}.layers.{b}.shortcut.normalization.*", asIs},
			{"layer{s}.{b}.conv{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.convolution.*", asIs},
			{"layer{s}.{b}.bn{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.normalization.*", asIs},
			{"fc.*", "classifier.1.*", asIs},
		}},
		{"timm", "VGG", []rule{
			{"features.*", "features.*", asIs},
			{"classifier.0.weight", "pre_logits.fc1.weight", flattened},
			{"classifier.0.bias", "pre_logits.fc1.bias", asIs},
			{"classifier.3.weight", "pre_logits.fc2.weight", flattened},
			{"classifier.3.bias", "pre_logits.fc2.bias", asIs},
			{"classifier.6.*", "head.fc.*", asIs},
		}},
		{"transformers", "MobileNet v1", []rule{
			{"conv1.*", "mobilenet_v1.conv_stem.convolution.*", asIs},
			{"conv1_bn.*", "mobilenet_v1.conv_stem.normalization.*", asIs},
			{"conv_dw_{i}.*", "mobilenet_v1.layer.{2i-2}.convolution.*", asIs},
			{"conv_dw_{i}_bn.*", "mobilenet_v1.layer.{2i-2}.normalization.*", asIs},
			{"conv_pw_{i}.*", "mobilenet_v1.layer.{2i-1}.convolution.*", asIs},
			{"conv_pw_{i}_bn.*", "mobilenet_v1.layer.{2i-1}.normalization.*", asIs},
			{"conv_preds.*", "classifier.*", asIs},
		}},
		kerasMobileNet("keras 2", "conv_dw_{i}/depthwise_kernel"), // and files converted from it
		kerasMobileNet("keras 3", "conv_dw_{i}/kernel"),
	}
}

func kerasMobileNet(library, depthwise string) table {
	return table{library, "MobileNet v1", []rule{
		{"conv_dw_{i}.weight", depthwise, hwc},
		{"*_bn.weight", "*_bn/gamma", asIs},
		{"*_bn.bias", "*_bn/beta", asIs},
		{"*_bn.running_mean", "*_bn/moving_mean", asIs},
		{"*_bn.running_var", "*_bn/moving_variance", asIs},
		{"conv_preds.bias", "conv_preds/bias", asIs},
		{"conv*.weight", "conv*/kernel", hwio},
	}}
}

// leftOut are the endings of names of tensors that are not weights.
var leftOut = []string{".num_batches_tracked", "seed_generator/seed_generator_state"}

// prefixes are those that wrappers of a network add to all names.
var prefixes = []string{"module.", "_orig_mod.", "model."}
