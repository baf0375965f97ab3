// Package naming converts weights that other libraries saved for the networks of sdk/nn/models:
// from their names and layouts to those of cram.
//
// There is a table for each library and network, a list of rules: a pattern of cram's names, a
// pattern of the library's names, and the layout. The first rule that matches a name holds for it.
//
//	{"layer{s}.{b}.conv{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.convolution.*", asIs}
//
// states that transformers stores layer2.0.conv1.weight as
// resnet.encoder.stages.1.layers.0.layer.0.convolution.weight. Braces match a number, which the
// library's pattern may multiply and shift, as in {2i-1}; a star matches any text. [Convert] uses
// the table that matches the most names. The file must then have exactly the wanted weights.
//
// The directory testdata has the names and shapes that torchvision 0.29, timm 1.0, transformers
// 5.24 and Keras 3.15 save; tests convert them, and .ci/names creates them and also compares
// logits. Convert ignores tensors that are not weights: PyTorch's num_batches_tracked and the state
// of Keras's random generator.
//
// Not supported, because its results differ with the layers of sdk/nn/models: timm's MobileNet v1,
// which has other padding and another batch-norm epsilon. There is no VGG in transformers, no
// MobileNet v1 in torchvision, and no ResNet for CIFAR in timm.
package naming
