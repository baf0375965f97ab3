// Package naming knows what other libraries call the weights of the networks in sdk/nn/models, and how they lay them out.
//
// Each library and network is one table of rules, tried from the top: a pattern of our names, a pattern of theirs, and the layout.
//
//	{"layer{s}.{b}.conv{i}.*", "resnet.encoder.stages.{s-1}.layers.{b}.layer.{i-1}.convolution.*", AsIs}
//
// says that transformers stores our layer2.0.conv1.weight as resnet.encoder.stages.1.layers.0.layer.0.convolution.weight. In braces
// stands a number, in theirs perhaps multiplied and shifted as in {2i-1}; a star is any text. [Convert] takes the table that finds the
// most names, and then demands all of them and nothing else.
//
// The names and shapes that torchvision 0.29, timm 1.0, transformers 5.24 and Keras 3.15 save stand in testdata, and the tests read them by
// these tables; .ci/names writes them anew and compares answers, too. Left out is what no network of ours has: PyTorch's num_batches_tracked,
// and the state of Keras's random generator.
//
// What is not here gives other answers with our layers, whatever its names: timm's MobileNet v1 pads evenly and has another batch-norm
// epsilon. transformers has no VGG, torchvision no MobileNet v1, timm no ResNet for CIFAR.
package naming
