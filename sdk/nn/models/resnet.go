package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// A Stem says which images a network is made for.
type Stem uint8

// The forms.
const (
	CIFAR    Stem = iota // small images: a 3×3 stem
	ImageNet             // large images: a stem that shrinks them by 4, and torchvision's names
)

// A Shortcut says how the input of a residual block meets an output of another shape.
type Shortcut uint8

// The shortcuts.
const (
	Projection Shortcut = iota // a 1×1 convolution and a batch norm
	Padding                    // every second pixel, and zeros for the new channels: no parameters (option A of He et al.)
)

// ResNet is a residual network (He et al., Deep Residual Learning for Image Recognition, 2016): a stem, stages of blocks, a
// mean over the image, a linear classifier. Every stage but the first halves height and width, in the 3×3 convolution.
//
//	parameters            CIFAR                          ImageNet
//	stem                  conv1, bn1                     conv1, bn1
//	block b of stage s    layer{s}.{b}.conv1, .bn1, …    layer{s}.{b}.conv1, .bn1, …
//	its projection        layer{s}.{b}.shortcut.0, .1    layer{s}.{b}.downsample.0, .1
//	classifier            linear                         fc
type ResNet struct {
	Stem       Stem
	Blocks     []int // blocks in each stage
	Widths     []int // channels of each stage's 3×3 convolutions
	Bottleneck bool  // blocks are 1×1, 3×3, 1×1 to four times the width, instead of 3×3 twice
	Shortcut   Shortcut
	Classes    int
}

// ResNet20 is the network of 20 layers for CIFAR with projections: 270,896 prunable weights for 10 classes.
func ResNet20(classes int) ResNet { return cifar(3, Projection, classes) }

// ResNet20A is [ResNet20] as in the original paper, with shortcuts that have no parameters.
func ResNet20A(classes int) ResNet { return cifar(3, Padding, classes) }

// ResNet32 is the network of 32 layers for CIFAR with projections.
func ResNet32(classes int) ResNet { return cifar(5, Projection, classes) }

// ResNet56 is the network of 56 layers for CIFAR with projections.
func ResNet56(classes int) ResNet { return cifar(9, Projection, classes) }

func cifar(blocks int, s Shortcut, classes int) ResNet {
	return ResNet{Blocks: []int{blocks, blocks, blocks}, Widths: []int{16, 32, 64}, Shortcut: s, Classes: classes}
}

// ResNet18 is torchvision's resnet18.
func ResNet18(classes int) ResNet {
	return ResNet{Stem: ImageNet, Blocks: []int{2, 2, 2, 2}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// ResNet34 is torchvision's resnet34.
func ResNet34(classes int) ResNet {
	return ResNet{Stem: ImageNet, Blocks: []int{3, 4, 6, 3}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// ResNet50 is torchvision's resnet50.
func ResNet50(classes int) ResNet {
	return ResNet{Stem: ImageNet, Blocks: []int{3, 4, 6, 3}, Widths: []int{64, 128, 256, 512}, Bottleneck: true, Classes: classes}
}

// ResNet18CIFAR is [ResNet18] with the stem for small images, the common choice for CIFAR where a wide network is wanted.
func ResNet18CIFAR(classes int) ResNet {
	return ResNet{Blocks: []int{2, 2, 2, 2}, Widths: []int{64, 128, 256, 512}, Classes: classes}
}

// Forward returns the logits [N Classes] of images x [N C H W].
func (r ResNet) Forward(p *nn.Pass, x graph.Node) graph.Node {
	if len(r.Blocks) == 0 || len(r.Blocks) != len(r.Widths) {
		p.Fail("models: ResNet has %d stages in Blocks and %d in Widths; want as many, at least one", len(r.Blocks), len(r.Widths))
		return x
	}
	x = r.stem(p, x)
	in := r.Widths[0]
	for s, width := range r.Widths {
		if r.Blocks[s] < 1 {
			p.Fail("models: ResNet.Blocks[%d] is %d, must be at least 1", s, r.Blocks[s])
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
	if r.Stem == CIFAR {
		return nn.ReLU(p, normed(p, "conv1", "bn1", conv(width, 3, 1), x))
	}
	x = nn.ReLU(p, normed(p, "conv1", "bn1", conv(width, 7, 2), x))
	return nn.MaxPool{Kernel: 3, Stride: 2, Padding: 1}.Forward(p, x)
}

func (r ResNet) classifier() string {
	if r.Stem == CIFAR {
		return "linear"
	}
	return "fc"
}

// block is one residual block of r, from in channels to out().
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
	case b.Shortcut == Padding:
		return b.padded(p, x)
	case b.Stem == CIFAR:
		return normed(p.At("shortcut"), "0", "1", conv(b.out(), 1, b.stride), x)
	default:
		return normed(p.At("downsample"), "0", "1", conv(b.out(), 1, b.stride), x)
	}
}

// padded takes every stride-th row and column and adds zero channels, half of them in front.
func (b block) padded(p *nn.Pass, x graph.Node) graph.Node {
	added := b.out() - b.in
	if added < 0 {
		p.Fail("models: ResNet: the Padding shortcut cannot go from %d channels to %d; let Widths grow", b.in, b.out())
		return x
	}
	if b.stride > 1 {
		x = p.Slice(x, []int{0, 0, 0, 0}, []int{-1, -1, -1, -1}, []int{1, 1, b.stride, b.stride})
	}
	return p.Pad(x, []int{0, added / 2, 0, 0}, []int{0, added - added/2, 0, 0}, []int{0, 0, 0, 0})
}

// conv is a square convolution of odd kernel that keeps the image's size but for its stride.
func conv(out, kernel, stride int) nn.Conv2D {
	return nn.Conv2D{Out: out, Kernel: kernel, Stride: stride, Padding: kernel / 2, NoBias: true, Init: nn.KaimingNormal}
}

// normed is a convolution with a batch norm behind it.
func normed(p *nn.Pass, convName, normName string, c nn.Conv2D, x graph.Node) graph.Node {
	return p.Apply(normName, nn.BatchNorm{}, p.Apply(convName, c, x))
}
