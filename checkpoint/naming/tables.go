package naming

// A Layout says how a tensor is stored elsewhere.
type Layout uint8

// The layouts.
const (
	AsIs      Layout = iota
	HWIO             // a kernel [H W I O], where ours is [O I H W], or [O I] for H = W = 1
	HWC              // a depthwise kernel [H W C 1], where ours is [C 1 H W]
	Flattened        // a kernel [O I H W] that covers its whole input, where ours is linear: [O I·H·W]
)

// A Rule gives the names that match Ours their names and layout elsewhere.
type Rule struct {
	Ours, Theirs string
	Layout       Layout
}

// A Table is how one library names the weights of one family of networks.
type Table struct {
	Library string
	Family  string // "": any
	Rules   []Rule
}

// Tables returns all tables, in the order in which they are preferred.
func Tables() []Table {
	return []Table{
		{"PyTorch", "", []Rule{{"*", "*", AsIs}}}, // names as PyTorch's users know them: torchvision's and timm's ResNet, and cram's own
		{"transformers", "ResNet", []Rule{
			{"conv1.*", "resnet.embedder.embedder.convolution.*", AsIs},
			{"bn1.*", "resnet.embedder.embedder.normalization.*", AsIs},
			{"layer{s}.{b}.downsample.0.*", "resnet.encoder.stages.{s-1}.layers.{b}.shortcut.convolution.*", AsIs},
			{"layer{s}.{b}.downsample.1.*", "resnet.encoder.stages.{s-1}.layers.{b}.shortcut.normalization.*", AsIs},
			{"layer{s}.{b}.conv{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.convolution.*", AsIs},
			{"layer{s}.{b}.bn{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.normalization.*", AsIs},
			{"fc.*", "classifier.1.*", AsIs},
		}},
		{"timm", "VGG", []Rule{
			{"features.*", "features.*", AsIs},
			{"classifier.0.weight", "pre_logits.fc1.weight", Flattened},
			{"classifier.0.bias", "pre_logits.fc1.bias", AsIs},
			{"classifier.3.weight", "pre_logits.fc2.weight", Flattened},
			{"classifier.3.bias", "pre_logits.fc2.bias", AsIs},
			{"classifier.6.*", "head.fc.*", AsIs},
		}},
		{"transformers", "MobileNet v1", []Rule{
			{"conv1.*", "mobilenet_v1.conv_stem.convolution.*", AsIs},
			{"conv1_bn.*", "mobilenet_v1.conv_stem.normalization.*", AsIs},
			{"conv_dw_{i}.*", "mobilenet_v1.layer.{2i-2}.convolution.*", AsIs},
			{"conv_dw_{i}_bn.*", "mobilenet_v1.layer.{2i-2}.normalization.*", AsIs},
			{"conv_pw_{i}.*", "mobilenet_v1.layer.{2i-1}.convolution.*", AsIs},
			{"conv_pw_{i}_bn.*", "mobilenet_v1.layer.{2i-1}.normalization.*", AsIs},
			{"conv_preds.*", "classifier.*", AsIs},
		}},
		kerasMobileNet("keras 2", "conv_dw_{i}/depthwise_kernel"), // and what converters made of it
		kerasMobileNet("keras 3", "conv_dw_{i}/kernel"),
	}
}

func kerasMobileNet(library, depthwise string) Table {
	return Table{library, "MobileNet v1", []Rule{
		{"conv_dw_{i}.weight", depthwise, HWC},
		{"*_bn.weight", "*_bn/gamma", AsIs},
		{"*_bn.bias", "*_bn/beta", AsIs},
		{"*_bn.running_mean", "*_bn/moving_mean", AsIs},
		{"*_bn.running_var", "*_bn/moving_variance", AsIs},
		{"conv_preds.bias", "conv_preds/bias", AsIs},
		{"conv*.weight", "conv*/kernel", HWIO},
	}}
}

// leftOut are the endings of what other libraries store beside weights.
var leftOut = []string{".num_batches_tracked", "seed_generator/seed_generator_state"}

// prefixes stand before every name of a file where something was wrapped around the network.
var prefixes = []string{"module.", "_orig_mod.", "model."}
