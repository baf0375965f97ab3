// Package models holds networks whose weights other people publish or whose results they report: residual networks, VGG, MobileNet,
// a multilayer perceptron, and a small convolutional network for first steps.
//
// Each is a plain value whose fields say all there is to say; a function builds it for a number of classes:
//
//	m := models.ResNet20(10) // models.ResNet{Blocks: []int{3, 3, 3}, Widths: []int{16, 32, 64}, Classes: 10}
//
// and [New] does so by name. Parameters are named as in the PyTorch code that most weights come from: torchvision's for
// networks on ImageNet, and for networks on CIFAR that of the public ports of He et al. (2016) and of VGG; MobileNet v1 has the layer
// names of Keras, where its weights come from. All take
// images NCHW and give logits [N classes].
package models
