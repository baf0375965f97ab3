package models_test

import (
	"fmt"
	"log"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// count returns the number of parameters of a model.
func count(m nn.Model, input graph.Field) (params int) {
	decls, _, err := nn.Declare(m, input)
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range decls {
		if d.Kind == graph.Param {
			params += d.Shape.Size().C
		}
	}
	return params
}

func ExampleNew() {
	m, input, err := models.New("resnet50", 1000)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(input.Name, input.Type, count(m, input))

	_, _, err = models.New("resnet49", 1000)
	fmt.Println(err)
	// Output:
	// x f32[3 224 224] 25557032
	// models: unknown model "resnet49"; want one of mlp, small-cnn, resnet20, resnet20a, resnet32, resnet56, resnet18-cifar, vgg16-bn-cifar, resnet18, resnet34, resnet50, vgg16-bn, mobilenet_v1_0.25, mobilenet_v1_0.5, mobilenet_v1_0.75, mobilenet_v1_1.0
}

func ExampleNames() {
	for _, name := range models.Names()[:3] {
		m, input, err := models.New(name, 10)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, input, count(m, input))
	}
	// Output:
	// mlp f32[1 28 28] 266610
	// small-cnn f32[3 24 24] 14746
	// resnet20 f32[3 32 32] 272474
}

// A wider, shallower member of the family, for images of another size.
func ExampleResNet() {
	m := models.ResNet{Blocks: []int{1, 1, 1}, Widths: []int{32, 64, 128}, Classes: 10}
	fmt.Println(count(m, graph.Floats("x", 1, 28, 28)))
	// Output: 308074
}

func ExampleVGG() {
	m := models.VGG{Widths: [][]int{{32}, {64}, {128, 128}}, Classes: 10}
	fmt.Println(count(m, graph.Floats("x", 3, 32, 32)))
	// Output: 242826
}

func ExampleCNN() {
	m := models.CNN{Widths: []int{8, 16}, Classes: 4}
	fmt.Println(count(m, graph.Floats("x", 1, 16, 16)))
	// Output: 1340
}

func ExampleMLP() {
	m := models.MLP{Hidden: []int{32}, Classes: 3}
	fmt.Println(count(m, graph.Floats("x", 4)))
	// Output: 259
}

// A shallow network for images of 96×96 pixels.
func ExampleMobileNet() {
	m := models.MobileNet{Stem: 8, Widths: []int{16, 32, 32}, Strides: []int{1, 2, 1}, Classes: 5}
	fmt.Println(count(m, graph.Floats("x", 3, 96, 96)))
	// Output: 2837
}

func ExampleResNet20() {
	fmt.Println(count(models.ResNet20(10), graph.Floats("x", 3, 32, 32)))
	// Output: 272474
}

// ResNet-50 with the names and shapes of torchvision.
func ExampleResNet50() {
	decls, _, err := nn.Declare(models.ResNet50(1000), graph.Floats("x", 3, 224, 224))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decls[0].Name, decls[0].Type, decls[len(decls)-1].Name)
	// Output: conv1.weight f32[64 3 7 7] fc.bias
}

func ExampleSmallCNN() {
	fmt.Println(models.SmallCNN(10))
	// Output: {[16 32 32] 10}
}

func ExampleResNet18() {
	fmt.Println(count(models.ResNet18(1000), graph.Floats("x", 3, 224, 224)))
	// Output: 11689512
}

func ExampleVGG16BN() {
	fmt.Println(count(models.VGG16BN(1000), graph.Floats("x", 3, 224, 224)))
	// Output: 138365992
}

// The narrowest published width.
func ExampleMobileNetV1() {
	fmt.Println(count(models.MobileNetV1(0.25, 1000), graph.Floats("x", 3, 224, 224)))
	// Output: 470072
}
