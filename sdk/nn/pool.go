package nn

import "github.com/compressaware/cram/sdk/graph"

// MaxPool takes the maximum of each square window of x [N C H W]; padding never wins.
type MaxPool struct {
	Kernel  int
	Stride  int // 0: Kernel
	Padding int // on each side, at most half of Kernel
}

// Forward is the layer.
func (m MaxPool) Forward(p *Pass, x graph.Node) graph.Node {
	return p.MaxPool(x, window(m.Kernel, m.Stride, m.Padding))
}

// AvgPool takes the mean of each square window of x [N C H W], counting the zeros of the padding.
type AvgPool struct {
	Kernel  int
	Stride  int // 0: Kernel
	Padding int // on each side, at most half of Kernel
}

// Forward is the layer.
func (a AvgPool) Forward(p *Pass, x graph.Node) graph.Node {
	return p.AvgPool(x, window(a.Kernel, a.Stride, a.Padding))
}

func window(kernel, stride, padding int) graph.PoolAttr {
	return graph.PoolAttr{
		Kernel:   [2]int{kernel, kernel},
		Stride:   [2]int{stride, stride},
		Pad:      [4]int{padding, padding, padding, padding},
		CountPad: true,
	}
}

// GlobalAvgPool takes the mean of each channel: [N C H W] becomes [N C].
func GlobalAvgPool(p *Pass, x graph.Node) graph.Node {
	h, w := p.extent("GlobalAvgPool", x, 4, 2), p.extent("GlobalAvgPool", x, 4, 3)
	return Flatten(p, p.AvgPool(x, graph.PoolAttr{Kernel: [2]int{h, w}}))
}

// Flatten merges all axes but the first: [N C H W] becomes [N C·H·W].
func Flatten(p *Pass, x graph.Node) graph.Node { return p.Flatten(x, 1) }
