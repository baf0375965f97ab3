package models

import (
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// VGG is a stack of 3×3 convolutions with batch norm, ReLU and max-pooling, and a classifier.
//
// Parameters: features.{i}, where i counts every convolution, batch norm, ReLU and pooling;
// classifier, or classifier.0, .3 and .6 for ImageNet.
//
// Reference: https://arxiv.org/abs/1409.1556.
type VGG struct {
	// ImageNet selects the classifier of torchvision, three linear layers with dropout, for images
	// of 224×224 pixels. By default the classifier is a mean over the image and one linear layer.
	ImageNet bool
	// Widths are the numbers of output channels of the convolutions. A 2×2 max-pooling follows each
	// inner list.
	Widths [][]int
	// Classes is the number of classes, at least 1.
	Classes int
}

// vgg16 returns the widths of configuration D of the paper.
func vgg16() [][]int {
	return [][]int{{64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}}
}

// VGG16BN returns torchvision's vgg16_bn, for images of 224×224 pixels.
func VGG16BN(classes int) VGG { return VGG{ImageNet: true, Widths: vgg16(), Classes: classes} }

// vgg16BNCIFAR returns VGG-16 with batch norm for images of 32×32 pixels.
func vgg16BNCIFAR(classes int) VGG { return VGG{Widths: vgg16(), Classes: classes} }

// Forward returns the logits [N Classes] of images x [N C H W]. With ImageNet H and W are 224. By
// default they are any sizes of at least one pixel after all poolings.
func (v VGG) Forward(p *nn.Pass, x graph.Node) graph.Node {
	x = p.Apply("features", v.features(), x)
	if !v.ImageNet {
		return p.Apply("classifier", linear(v.Classes), nn.GlobalAvgPool(p, x))
	}
	if s := p.Shape(x); p.Err() == nil && (len(s) != 4 || !s[2:].Equal(graph.Of(7, 7))) {
		p.Fail("models: VGG: want features of height and width 7, got %v; feed images of 224×224 pixels, or leave VGG.ImageNet unset", s)
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

// linear returns a linear layer with the initial values of torchvision's VGG.
func linear(out int) nn.Linear {
	return nn.Linear{Out: out, Init: nn.Normal(0.01), BiasInit: nn.Constant(0)}
}
