package models

import (
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// VGG is a plain stack of 3×3 convolutions with batch norm, ReLU and max-pooling (Simonyan and Zisserman, 2015), and a
// classifier: torchvision's three linear layers with dropout for [ImageNet], one linear layer for [CIFAR].
//
// Parameters: features.{i}, counting every convolution, batch norm, ReLU and pooling; classifier.0, .3, .6 for ImageNet,
// classifier for CIFAR.
type VGG struct {
	Stem    Stem
	Widths  [][]int // output channels of each convolution; a 2×2 max-pooling follows each inner list
	Classes int
}

// vgg16 is configuration D of the paper.
func vgg16() [][]int {
	return [][]int{{64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}}
}

// VGG16BN is torchvision's vgg16_bn, for images of 224×224.
func VGG16BN(classes int) VGG { return VGG{Stem: ImageNet, Widths: vgg16(), Classes: classes} }

// VGG16BNCIFAR is VGG-16 with batch norm for images of 32×32.
func VGG16BNCIFAR(classes int) VGG { return VGG{Stem: CIFAR, Widths: vgg16(), Classes: classes} }

// Forward returns the logits [N Classes] of images x [N C H W]: H and W are 224 for [ImageNet]; for [CIFAR] any that the
// poolings leave something of.
func (v VGG) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("features", v.features(), x)
	if v.Stem == CIFAR {
		return p.Apply("classifier", linear(v.Classes), nn.GlobalAvgPool(p, x))
	}
	if s := p.Shape(x); p.Err() == nil && (len(s) != 4 || !s[2:].Equal(graph.Of(7, 7))) {
		p.Fail("models: VGG for ImageNet: the features are %v, want height and width 7: feed images of 224×224, or use the CIFAR form", s)
		return x
	}
	return p.Apply("classifier", nn.Sequential{
		linear(4096), nn.Func(nn.ReLU), nn.Dropout{P: 0.5},
		linear(4096), nn.Func(nn.ReLU), nn.Dropout{P: 0.5},
		linear(v.Classes),
	}, nn.Flatten(p, x))
}

func (v VGG) features() nn.Sequential {
	var s nn.Sequential
	for _, widths := range v.Widths {
		for _, width := range widths {
			c := nn.Conv2D{Out: width, Kernel: 3, Padding: 1, Init: nn.KaimingNormal, BiasInit: nn.Constant(0)}
			s = append(s, c, nn.BatchNorm{}, nn.Func(nn.ReLU))
		}
		s = append(s, nn.MaxPool{Kernel: 2})
	}
	return s
}

// linear is a linear layer that begins as torchvision's VGGs do.
func linear(out int) nn.Linear {
	return nn.Linear{Out: out, Init: nn.Normal(0.01), BiasInit: nn.Constant(0)}
}
