package kernels

import "fmt"

// A convolution is three sums over the same taps. With n image, o output channel, c input channel, (y, x) output pixel, (i, j) tap:
//
//	forward          y[n,o,y,x]    = Σ_c Σ_i Σ_j  w[o,c,i,j] · x[n, c, y·S+i-P, x·S+j-P]
//	input gradient   dx[n,c,y,x]   = Σ_o Σ_i Σ_j  w[o,c,i,j] · dy[n, o, (y+P-i)/S, (x+P-j)/S]     where the division is exact
//	weight gradient  dw[o,c,i,j]   = Σ_n Σ_y Σ_x  dy[n,o,y,x] · x[n, c, y·S+i-P, x·S+j-P]
//
// Each is one type: [ConvForward], [ConvInputGrad], [ConvWeightGrad], made by the method of [InstructionSet] of the same name, immutable, and safe
// for concurrent use as long as every concurrent call has its own scratch and its own range of results.
//
// All three copy the image they read, strip by strip, into planes in scratch (see convPlanes): padded, and with a stride split into
// phases, so that a tap is nothing but a constant offset and the inner loops have no edges and no strides. A convolution that
// neither pads nor strides with a 1×1 kernel reads its input in place.

// ConvShape is the geometry of a 2-D convolution (cross-correlation, as in every deep-learning library).
// Weights are [O, C/Groups, KH, KW], row-major.
type ConvShape struct {
	C, H, W                  int // input channels, rows, columns
	O                        int // output channels
	KH, KW                   int // kernel rows, columns
	StrideH, StrideW         int
	Top, Bottom, Left, Right int // zero padding

	// Groups divides C and O; 1 is the ordinary convolution, C the depthwise one. Where a group is no whole number of blocks of 16
	// channels, and the convolution not depthwise, zero weights stand between the groups of a block: an infinity or a NaN in one of
	// them is then felt in the others.
	Groups int

	// Planar says that x is plain [N, C, H, W] instead of blocks of 16 channels: for the first layer of a network, whose few channels would leave
	// most lanes of a block empty. Only the forward pass and the weight gradient take it, and only with Groups 1.
	Planar bool
}

// OutH returns the number of output rows.
func (s ConvShape) OutH() int { return (s.H+s.Top+s.Bottom-s.KH)/s.StrideH + 1 }

// OutW returns the number of output columns.
func (s ConvShape) OutW() int { return (s.W+s.Left+s.Right-s.KW)/s.StrideW + 1 }

// InLen returns the number of elements of one image of x in its layout.
func (s ConvShape) InLen() int {
	if s.Planar {
		return s.C * s.H * s.W
	}
	return Blocks(s.C) * s.H * s.W * Block
}

// OutLen returns the number of elements of one image of y, in blocks of 16 channels.
func (s ConvShape) OutLen() int { return Blocks(s.O) * s.OutH() * s.OutW() * Block }

// WeightLen returns the number of weights, O · C/Groups · KH · KW.
func (s ConvShape) WeightLen() int { return s.O * (s.C / s.Groups) * s.KH * s.KW }

// FLOPs returns the floating-point operations of one pass over one image, a multiply-add counting two, padding counted as work.
func (s ConvShape) FLOPs() float64 { return 2 * float64(s.WeightLen()) * float64(s.OutH()*s.OutW()) }

// Validate reports the first thing that makes the shape no convolution.
func (s ConvShape) Validate() error {
	for _, d := range []struct {
		name       string
		value, low int
	}{
		{"C", s.C, 1}, {"H", s.H, 1}, {"W", s.W, 1}, {"O", s.O, 1}, {"KH", s.KH, 1}, {"KW", s.KW, 1},
		{"StrideH", s.StrideH, 1}, {"StrideW", s.StrideW, 1}, {"Groups", s.Groups, 1},
		{"Top", s.Top, 0}, {"Bottom", s.Bottom, 0}, {"Left", s.Left, 0}, {"Right", s.Right, 0},
	} {
		if d.value < d.low {
			return fmt.Errorf("kernels: convolution: %s is %d: want at least %d", d.name, d.value, d.low)
		}
	}
	switch {
	case s.C%s.Groups != 0 || s.O%s.Groups != 0:
		return fmt.Errorf("kernels: convolution: %d groups divide neither or only one of %d input and %d output channels", s.Groups, s.C, s.O)
	case s.KH > s.H+s.Top+s.Bottom || s.KW > s.W+s.Left+s.Right:
		return fmt.Errorf("kernels: convolution: kernel %d×%d is larger than the padded input %d×%d",
			s.KH, s.KW, s.H+s.Top+s.Bottom, s.W+s.Left+s.Right)
	case s.Planar && s.Groups != 1:
		return fmt.Errorf("kernels: convolution: planar input with %d groups: want 1, or blocked input", s.Groups)
	}
	return nil
}

// depthwise reports whether every channel is a group of its own.
func (s ConvShape) depthwise() bool { return s.Groups > 1 && s.Groups == s.C && s.Groups == s.O }

// ConvPart is a share of a convolution's output: what one call computes. Any split into parts gives the same bits.
type ConvPart struct {
	N0, N1 int // images N0 ≤ n < N1
	Y0, Y1 int // rows of the result
	P0, P1 int // panels of the result: 1, 2 or 4 consecutive blocks of 16 channels each, see the method Panels
}
