// Package models contains networks with published weights or published results: residual networks,
// VGG, MobileNet and a multilayer perceptron. A small convolutional network for first steps
// completes the list.
//
// Each network is a struct. A function returns it for a number of classes:
//
//	m := models.ResNet20(10) // models.ResNet{Blocks: []int{3, 3, 3}, Widths: []int{16, 32, 64}, Classes: 10}
//
// [New] does the same by name. All networks map images [N C H W] to logits [N classes].
//
// Parameters have the names of the published weights: those of torchvision for ImageNet, those of
// the public PyTorch ports of He et al. (2016) and of VGG for CIFAR, and those of Keras for
// MobileNet v1.
package models
