package nn

import "github.com/compressaware/cram/sdk/graph"

// MaxPool returns the maximum of each square window of x [N C H W].
//
//	y [N C (H+2·Padding-Kernel)/Stride+1 (W+2·Padding-Kernel)/Stride+1]
type MaxPool struct {
	// Kernel is the height and width of a window, at least 1.
	Kernel int
	// Stride is the step between windows; 0 means Kernel.
	Stride int
	// Padding is the number of rows and columns on each side that are -∞, at most half of Kernel.
	Padding int
}

// Forward returns y.
func (m MaxPool) Forward(p *Pass, x graph.Node) graph.Node {
	return p.MaxPool(x, window(m.Kernel, m.Stride, m.Padding))
}

// AvgPool returns the mean of each square window of x [N C H W]. The mean includes the zeros of the
// padding.
//
//	y [N C (H+2·Padding-Kernel)/Stride+1 (W+2·Padding-Kernel)/Stride+1]
type AvgPool struct {
	// Kernel is the height and width of a window, at least 1.
	Kernel int
	// Stride is the step between windows; 0 means Kernel.
	Stride int
	// Padding is the number of zeros on each side, at most half of Kernel.
	Padding int
}

// Forward returns y.
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

// GlobalAvgPool returns the mean of each channel of x [N C H W], of shape [N C].
func GlobalAvgPool(p *Pass, x graph.Node) graph.Node {
	h, w := p.size("GlobalAvgPool", x, 4, 2), p.size("GlobalAvgPool", x, 4, 3)
	return Flatten(p, p.AvgPool(x, graph.PoolAttr{Kernel: [2]int{h, w}}))
}

// Flatten merges all axes except the first: [N C H W] becomes [N C·H·W].
func Flatten(p *Pass, x graph.Node) graph.Node { return p.Flatten(x, 1) }
