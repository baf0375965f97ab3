package models

import (
	"fmt"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// CNN is a stack of 3×3 convolutions with batch norm and ReLU, a mean over the image and a linear
// classifier. Each convolution except the first halves height and width.
//
// Parameters: conv1, bn1, conv2, bn2, …; fc.
type CNN struct {
	// Widths are the numbers of output channels of the convolutions.
	Widths []int
	// Classes is the number of classes, at least 1.
	Classes int
}

// SmallCNN returns a CNN for first steps and tests. It has 14,576 prunable weights for color images
// of 10 classes.
func SmallCNN(classes int) CNN { return CNN{Widths: []int{16, 32, 32}, Classes: classes} }

// Forward returns the logits [N Classes] of images x [N C H W].
func (m CNN) Forward(p *nn.Pass, x graph.Node) graph.Node {
	for i, width := range m.Widths {
		stride := 1
		if i > 0 {
			stride = 2
		}
		x = nn.ReLU(p, normed(p, fmt.Sprintf("conv%d", i+1), fmt.Sprintf("bn%d", i+1), conv(width, 3, stride), x))
	}
	return p.Apply("fc", nn.Linear{Out: m.Classes}, nn.GlobalAvgPool(p, x))
}
