package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// MobileNet is MobileNet v1: a 3×3 convolution, pairs of a depthwise 3×3 and a pointwise 1×1
// convolution, a mean over the image and a linear classifier. Batch norm and ReLU6 follow each
// convolution. Padding is TensorFlow's SAME, and Eps of batch norm is 1e-3, as in the published
// weights.
//
// Parameters: conv1, conv1_bn; conv_dw_{i}, conv_dw_{i}_bn, conv_pw_{i} and conv_pw_{i}_bn for each
// pair i from 1; conv_preds.
//
// Reference: https://arxiv.org/abs/1704.04861.
type MobileNet struct {
	// Stem is the number of output channels of the first convolution, which halves height and
	// width.
	Stem int
	// Widths are the numbers of output channels of the pairs.
	Widths []int
	// Strides are the strides of the depthwise convolutions. It has the length of Widths.
	Strides []int
	// Classes is the number of classes, at least 1.
	Classes int
}

// MobileNetV1 returns the network of the paper with all numbers of channels multiplied by width.
// Weights are published for widths of 1, 0.75, 0.5 and 0.25.
func MobileNetV1(width float64, classes int) MobileNet {
	m := MobileNet{
		Widths:  []int{64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024},
		Strides: []int{1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1},
		Stem:    int(32 * width),
		Classes: classes,
	}
	for i := range m.Widths {
		m.Widths[i] = int(float64(m.Widths[i]) * width)
	}
	return m
}

// Forward returns the logits [N Classes] of images x [N C H W].
func (m MobileNet) Forward(p *nn.Pass, x graph.Node) graph.Node {
	if len(m.Widths) != len(m.Strides) {
		p.Fail("models: MobileNet: want as many Strides as Widths, got %d and %d", len(m.Strides), len(m.Widths))
		return x
	}
	x = convReLU6(p, "conv1", same(m.Stem, 3, 2, 1), x)
	in := m.Stem
	for i, width := range m.Widths {
		x = convReLU6(p, fmt.Sprintf("conv_dw_%d", i+1), same(in, 3, m.Strides[i], in), x)
		x = convReLU6(p, fmt.Sprintf("conv_pw_%d", i+1), same(width, 1, 1, 1), x)
		in = width
	}
	return p.Apply("conv_preds", nn.Linear{Out: m.Classes}, nn.GlobalAvgPool(p, x))
}

// same returns a convolution with SAME padding.
func same(out, kernel, stride, groups int) nn.Conv2D {
	return nn.Conv2D{Out: out, Kernel: kernel, Stride: stride, Same: true, Groups: groups, NoBias: true, Init: nn.KaimingNormal}
}

// convReLU6 applies a convolution, batch norm and ReLU6.
func convReLU6(p *nn.Pass, name string, c nn.Conv2D, x graph.Node) graph.Node {
	return nn.ReLU6(p, p.Apply(name+"_bn", nn.BatchNorm{Eps: 1e-3}, p.Apply(name, c, x)))
}
