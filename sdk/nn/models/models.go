package models

import (
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// An entry is a named network with the shape of its images.
type entry struct {
	name           string
	channels, side int
	build          func(classes int) nn.Model
}

// entries returns the table of New in the order of Names.
func entries() []entry {
	return []entry{
		{"mlp", 1, 28, of(leNet300)},
		{"small-cnn", 3, 24, of(SmallCNN)},
		{"resnet20", 3, 32, of(ResNet20)},
		{"resnet20a", 3, 32, of(resNet20A)},
		{"resnet32", 3, 32, of(resNet32)},
		{"resnet56", 3, 32, of(resNet56)},
		{"resnet18-cifar", 3, 32, of(resNet18CIFAR)},
		{"vgg16-bn-cifar", 3, 32, of(vgg16BNCIFAR)},
		{"resnet18", 3, 224, of(ResNet18)},
		{"resnet34", 3, 224, of(resNet34)},
		{"resnet50", 3, 224, of(ResNet50)},
		{"vgg16-bn", 3, 224, of(VGG16BN)},
		{"mobilenet_v1_0.25", 3, 224, mobileNet(0.25)},
		{"mobilenet_v1_0.5", 3, 224, mobileNet(0.5)},
		{"mobilenet_v1_0.75", 3, 224, mobileNet(0.75)},
		{"mobilenet_v1_1.0", 3, 224, mobileNet(1)},
	}
}

// of returns build with the result type nn.Model.
func of[M nn.Model](build func(classes int) M) func(int) nn.Model {
	return func(classes int) nn.Model { return build(classes) }
}

func mobileNet(width float64) func(int) nn.Model {
	return func(classes int) nn.Model { return MobileNetV1(width, classes) }
}

// Names returns the names that [New] accepts.
func Names() []string {
	var names []string
	for _, e := range entries() {
		names = append(names, e.name)
	}
	return names
}

// New returns the network of the given name for a number of classes, and its input: "x",
// images of shape [C H W] as it was published for. Residual networks, MobileNets and the small CNN
// accept images of other sizes, too. An unknown name is an error that lists the names.
func New(name string, classes int) (nn.Model, graph.Field, error) {
	if classes < 1 {
		return nil, graph.Field{}, fmt.Errorf("models: %s: want at least 1 class, got %d", name, classes)
	}
	for _, e := range entries() {
		if e.name == name {
			return e.build(classes), graph.Floats("x", e.channels, e.side, e.side), nil
		}
	}
	return nil, graph.Field{}, fmt.Errorf("models: unknown model %q; want one of %s", name, strings.Join(Names(), ", "))
}
