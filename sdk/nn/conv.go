package nn

import (
	"math"

	"github.com/compressaware/cram/sdk/graph"
)

// Conv2D convolves images x [N C H W] with a square kernel and adds a bias.
//
//	y [N Out (H+2·Padding-Kernel)/Stride+1 (W+2·Padding-Kernel)/Stride+1]
//	y [N Out ⌈H/Stride⌉ ⌈W/Stride⌉]                                         with Same
//
// Parameters: weight [Out C/Groups Kernel Kernel] and, unless NoBias is set, bias [Out]. For
// kernels, strides or paddings that are not square call [graph.Builder.Conv2D] with a weight of
// [Pass.Param].
type Conv2D struct {
	// Out is the number of output channels, at least 1.
	Out int
	// Kernel is the height and width of the kernel, at least 1.
	Kernel int
	// Stride is the step between windows; 0 means 1.
	Stride int
	// Padding is the number of zeros on each side of the image.
	Padding int
	// Same selects TensorFlow's SAME padding instead of Padding: the least number of zeros that
	// gives ⌈H/Stride⌉ rows, with the odd zero at the bottom and at the right.
	Same bool
	// Groups is the number of groups of channels that are convolved separately; 0 means 1. A
	// depthwise convolution has as many groups as input channels.
	Groups int
	// NoBias omits the bias, for convolutions that a BatchNorm follows.
	NoBias bool

	// Init initializes weight; nil means KaimingUniform.
	Init Init
	// BiasInit initializes bias; nil means uniform in ±1/√fan-in, as in PyTorch.
	BiasInit Init
}

// Forward returns y.
func (c Conv2D) Forward(p *Pass, x graph.Node) graph.Node {
	const layer = "Conv2D"
	in, groups, stride := p.size(layer, x, 4, 1), or(c.Groups, 1), or(c.Stride, 1)
	if !p.positive(layer, "Out", c.Out) || !p.positive(layer, "Kernel", c.Kernel) ||
		!p.positive(layer, "Stride", stride) || !p.positive(layer, "Groups", groups) {
		return x
	}
	if p.Err() == nil && (in%groups != 0 || c.Out%groups != 0) {
		p.mistake(layer, "want Groups that divide the %d input and %d output channels, got %d", in, c.Out, groups)
		return x
	}
	pad := [4]int{c.Padding, c.Padding, c.Padding, c.Padding}
	if c.Same {
		if c.Padding != 0 {
			p.mistake(layer, "want Padding or Same, got Padding %d and Same", c.Padding)
			return x
		}
		pad[0], pad[1] = same(p.size(layer, x, 4, 2), c.Kernel, stride)
		pad[2], pad[3] = same(p.size(layer, x, 4, 3), c.Kernel, stride)
	}
	fanIn := in / groups * c.Kernel * c.Kernel
	w := p.Param("weight", graph.Kernel, weightInit(c.Init), c.Out, in/groups, c.Kernel, c.Kernel)
	y := p.Conv2D(x, w, graph.ConvAttr{
		Stride: [2]int{stride, stride},
		Pad:    pad,
		Groups: groups,
	})
	if c.NoBias {
		return y
	}
	bias := p.Param("bias", graph.Bias, biasInit(c.BiasInit, fanIn), c.Out)
	return p.Add(y, p.Reshape(bias, graph.Of(c.Out, 1, 1)))
}

// same returns the numbers of zeros before and after an axis of size n that give ⌈n/stride⌉
// windows.
func same(n, kernel, stride int) (before, after int) {
	zeros := max(((n+stride-1)/stride-1)*stride+kernel-n, 0)
	return zeros / 2, zeros - zeros/2
}

func weightInit(given Init) Init {
	if given == nil {
		return KaimingUniform
	}
	return given
}

func biasInit(given Init, fanIn int) Init {
	if given == nil {
		return Uniform(1 / math.Sqrt(float64(fanIn)))
	}
	return given
}
