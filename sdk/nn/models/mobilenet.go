package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// MobileNet is MobileNet v1 (Howard et al., 2017): a 3×3 convolution, then pairs of a depthwise 3×3 and a pointwise 1×1
// convolution, each with batch norm and ReLU6; a mean over the image; a linear classifier. Padding is TensorFlow's SAME and the
// batch norms' Eps 1e-3, as in the published weights.
//
// Parameters: conv1, conv1_bn; for each pair i from 1: conv_dw_{i}, conv_dw_{i}_bn, conv_pw_{i}, conv_pw_{i}_bn; conv_preds.
type MobileNet struct {
	Stem    int   // output channels of the first convolution, which halves the image
	Widths  []int // output channels of each pair
	Strides []int // of each pair's depthwise convolution
	Classes int
}

// MobileNetV1 is the network of the paper with all its channels multiplied by width: 1, 0.75, 0.5 and 0.25 are published.
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
		p.Fail("models: MobileNet has %d pairs in Widths and %d in Strides; want as many", len(m.Widths), len(m.Strides))
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

func same(out, kernel, stride, groups int) nn.Conv2D {
	return nn.Conv2D{Out: out, Kernel: kernel, Stride: stride, Same: true, Groups: groups, NoBias: true, Init: nn.KaimingNormal}
}

// convReLU6 is a convolution with a batch norm and ReLU6 behind it.
func convReLU6(p *nn.Pass, name string, c nn.Conv2D, x graph.Node) graph.Node {
	return nn.ReLU6(p, p.Apply(name+"_bn", nn.BatchNorm{Eps: 1e-3}, p.Apply(name, c, x)))
}
