package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// ResNet is a residual network: a first convolution, stages of residual blocks, a mean over the
// image and a linear classifier. Each stage except the first halves height and width in a 3×3
// convolution.
//
//	parameters            default                        ImageNet
//	first convolution     conv1, bn1                     conv1, bn1
//	block b of stage s    layer{s}.{b}.conv1, .bn1, …    layer{s}.{b}.conv1, .bn1, …
//	its projection        layer{s}.{b}.shortcut.0, .1    layer{s}.{b}.downsample.0, .1
//	classifier            linear                         fc
//
// Reference: https://arxiv.org/abs/1512.03385.
type ResNet struct {
	// ImageNet selects the first layers for large images, a 7×7 convolution and a max-pooling that
	// divide height and width by 4, and the parameter names of torchvision. By default the first
	// layer is a 3×3 convolution that keeps the size, for small images as in CIFAR.
	ImageNet bool
	// Blocks are the numbers of blocks in the stages.
	Blocks []int
	// Widths are the numbers of channels of the stages' 3×3 convolutions. It has the length of
	// Blocks.
	Widths []int
	// Bottleneck selects blocks of a 1×1, a 3×3 and a 1×1 convolution to four times the width. By
	// default a block has two 3×3 convolutions.
	Bottleneck bool
	// PadShortcut selects shortcuts without parameters where a block changes the shape: every
	// second pixel, and zeros for the new channels (option A of the paper). By default such a
	// shortcut is a projection: a 1×1 convolution and batch norm.
	PadShortcut bool
	// Classes is the number of classes, at least 1.
	Classes int
}

// ResNet20 returns the network of 20 layers for CIFAR with projections. It has 270,896 prunable
// weights for 10 classes.
func ResNet20(classes int) ResNet { return cifar(3, classes) }

// resNet20A returns [ResNet20] with the shortcuts of the original paper, which have no parameters.
func resNet20A(classes int) ResNet {
	r := cifar(3, classes)
	r.PadShortcut = true
	return r
}

// resNet32 returns the network of 32 layers for CIFAR with projections.
func resNet32(classes int) ResNet { return cifar(5, classes) }

// resNet56 returns the network of 56 layers for CIFAR with projections.
func resNet56(classes int) ResNet { return cifar(9, classes) }

func cifar(blocks, classes int) ResNet {
	return ResNet{Blocks: []int{blocks, blocks, blocks}, Widths: []int{16, 32, 64}, Classes: classes}
}

// ResNet18 returns torchvision's resnet18.
func ResNet18(classes int) ResNet {
	return ResNet{ImageNet: true, Blocks: []int{2, 2, 2, 2}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// resNet34 returns torchvision's resnet34.
func resNet34(classes int) ResNet {
	return ResNet{ImageNet: true, Blocks: []int{3, 4, 6, 3}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// ResNet50 returns torchvision's resnet50.
func ResNet50(classes int) ResNet {
	return ResNet{ImageNet: true, Blocks: []int{3, 4, 6, 3}, Widths: []int{64, 128, 256, 512}, Bottleneck: true, Classes: classes}
}

// resNet18CIFAR returns [ResNet18] with the first layer for small images, a common wide network for
// CIFAR.
func resNet18CIFAR(classes int) ResNet {
	return ResNet{Blocks: []int{2, 2, 2, 2}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// Forward returns the logits [N Classes] of images x [N C H W].
func (r ResNet) Forward(p *nn.Pass, x graph.Node) graph.Node {
	if len(r.Blocks) == 0 || len(r.Blocks) != len(r.Widths) {
		p.Fail("models: ResNet: want as many Blocks as Widths, at least one, got %d and %d", len(r.Blocks), len(r.Widths))
		return x
	}
	x = r.stem(p, x)
	in := r.Widths[0]
	for s, width := range r.Widths {
		if r.Blocks[s] < 1 {
			p.Fail("models: ResNet.Blocks[%d] is %d, want at least 1", s, r.Blocks[s])
			return x
		}
		stage := p.At(fmt.Sprintf("layer%d", s+1))
		for i := range r.Blocks[s] {
			b := block{ResNet: r, in: in, width: width, stride: 1}
			if i == 0 && s > 0 {
				b.stride = 2
			}
			x = stage.Apply(fmt.Sprint(i), b, x)
			in = b.out()
		}
	}
	return p.Apply(r.classifier(), nn.Linear{Out: r.Classes}, nn.GlobalAvgPool(p, x))
}

func (r ResNet) stem(p *nn.Pass, x graph.Node) graph.Node {
	width := r.Widths[0]
	if !r.ImageNet {
		return nn.ReLU(p, normed(p, "conv1", "bn1", conv(width, 3, 1), x))
	}
	x = nn.ReLU(p, normed(p, "conv1", "bn1", conv(width, 7, 2), x))
	return nn.MaxPool{Kernel: 3, Stride: 2, Padding: 1}.Forward(p, x)
}

func (r ResNet) classifier() string {
	if r.ImageNet {
		return "fc"
	}
	return "linear"
}

// A block is a residual block of a ResNet, from in to out() channels.
type block struct {
	ResNet
	in, width, stride int
}

func (b block) out() int {
	if b.Bottleneck {
		return 4 * b.width
	}
	return b.width
}

// Forward returns ReLU(branch(x) + shortcut(x)).
func (b block) Forward(p *nn.Pass, x graph.Node) graph.Node {
	return nn.ReLU(p, p.Add(b.branch(p, x), b.shortcut(p, x)))
}

func (b block) branch(p *nn.Pass, x graph.Node) graph.Node {
	if b.Bottleneck {
		y := nn.ReLU(p, normed(p, "conv1", "bn1", conv(b.width, 1, 1), x))
		y = nn.ReLU(p, normed(p, "conv2", "bn2", conv(b.width, 3, b.stride), y))
		return normed(p, "conv3", "bn3", conv(b.out(), 1, 1), y)
	}
	y := nn.ReLU(p, normed(p, "conv1", "bn1", conv(b.width, 3, b.stride), x))
	return normed(p, "conv2", "bn2", conv(b.width, 3, 1), y)
}

func (b block) shortcut(p *nn.Pass, x graph.Node) graph.Node {
	switch {
	case b.stride == 1 && b.in == b.out():
		return x
	case b.PadShortcut:
		return b.padded(p, x)
	}
	scope := "shortcut"
	if b.ImageNet {
		scope = "downsample"
	}
	return normed(p.At(scope), "0", "1", conv(b.out(), 1, b.stride), x)
}

// padded returns every stride-th row and column of x, with channels of zeros added, half of them
// before the others.
func (b block) padded(p *nn.Pass, x graph.Node) graph.Node {
	added := b.out() - b.in
	if added < 0 {
		p.Fail("models: ResNet: a shortcut without parameters cannot reduce %d channels to %d; want Widths that do not decrease", b.in, b.out())
		return x
	}
	if b.stride > 1 {
		x = p.Slice(x, []int{0, 0, 0, 0}, []int{-1, -1, -1, -1}, []int{1, 1, b.stride, b.stride})
	}
	return p.Pad(x, []int{0, added / 2, 0, 0}, []int{0, added - added/2, 0, 0}, []int{0, 0, 0, 0})
}

// conv returns a square convolution of odd kernel that changes the image size only by its stride.
func conv(out, kernel, stride int) nn.Conv2D {
	return nn.Conv2D{Out: out, Kernel: kernel, Stride: stride, Padding: kernel / 2, NoBias: true, Init: nn.KaimingNormal}
}

// normed applies a convolution and batch norm.
func normed(p *nn.Pass, convName, normName string, c nn.Conv2D, x graph.Node) graph.Node {
	return p.Apply(normName, nn.BatchNorm{}, p.Apply(convName, c, x))
}
