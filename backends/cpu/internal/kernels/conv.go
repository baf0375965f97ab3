package kernels

import "fmt"

// A convolution has three passes, sums over the same taps. With
//
//	n       image
//	o, c    output channel, input channel
//	(y, x)  pixel of the result: of y in the forward pass, of dx in the input gradient
//	(i, j)  tap: row and column of the kernel
//	S, P    stride and padding; rows and columns may have different ones
//
// they are, for one group,
//
//	forward          y[n,o,y,x]  = Σ_c Σ_i Σ_j w[o,c,i,j] · x[n, c, y·S+i-P, x·S+j-P]
//	input gradient   dx[n,c,y,x] = Σ_o Σ_i Σ_j w[o,c,i,j] · dy[n, o, (y+P-i)/S, (x+P-j)/S]
//	weight gradient  dw[o,c,i,j] = Σ_n Σ_y Σ_x dy[n,o,y,x] · x[n, c, y·S+i-P, x·S+j-P]
//
// where the input gradient has only the terms in which S divides exactly. Pixels outside of an
// image are zero.
//
// The types [ConvForward], [ConvInputGrad] and [ConvWeightGrad] are plans of these passes. Methods
// of [InstructionSet] with the same names make them. A plan is immutable. It is safe for concurrent
// use if each concurrent call has its own scratch and its own part of the result.
//
// Each pass copies the image that it reads to padded planes in scratch (see convPlanes), so the
// inner loops have neither edges nor strides. A 1×1 kernel without padding and stride reads its
// input in place.

// ConvShape is the shape of a 2-D convolution (cross-correlation, as in all deep-learning
// libraries). Weights are [O, C/Groups, KH, KW], row-major.
type ConvShape struct {
	C, H, W                  int // input channels, rows, columns
	O                        int // output channels
	KH, KW                   int // kernel rows, columns
	StrideH, StrideW         int
	Top, Bottom, Left, Right int // zero padding

	// Groups is the number of groups, a divisor of C and O. It is 1 in an ordinary convolution and
	// C in a depthwise one. If a group is no whole number of blocks of 16 channels and the
	// convolution is not depthwise, the channels of other groups in a block are multiplied with
	// zero weights. An infinity or a NaN in one of them then makes the result NaN.
	Groups int

	// Planar means that x is row-major [N, C, H, W], and not in blocks of 16 channels. It is for
	// the first layer of a network, whose few channels would fill few lanes of a block. The forward
	// pass and the weight gradient support it, for Groups 1 only.
	Planar bool
}

// OutH returns the number of output rows.
func (s ConvShape) OutH() int { return (s.H+s.Top+s.Bottom-s.KH)/s.StrideH + 1 }

// OutW returns the number of output columns.
func (s ConvShape) OutW() int { return (s.W+s.Left+s.Right-s.KW)/s.StrideW + 1 }

// InLen returns the number of elements of one image of x, in blocks or planar.
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

// FLOPs returns the number of floating-point operations of one pass over one image. A multiply-add
// counts as two operations, and multiplications with padding count.
func (s ConvShape) FLOPs() float64 { return 2 * float64(s.WeightLen()) * float64(s.OutH()*s.OutW()) }

// validate returns an error for a shape that is no convolution. It describes the first fault.
func (s ConvShape) validate() error {
	for _, d := range []struct {
		name       string
		value, low int
	}{
		{"C", s.C, 1}, {"H", s.H, 1}, {"W", s.W, 1}, {"O", s.O, 1}, {"KH", s.KH, 1}, {"KW", s.KW, 1},
		{"StrideH", s.StrideH, 1}, {"StrideW", s.StrideW, 1}, {"Groups", s.Groups, 1},
		{"Top", s.Top, 0}, {"Bottom", s.Bottom, 0}, {"Left", s.Left, 0}, {"Right", s.Right, 0},
	} {
		if d.value < d.low {
			return fmt.Errorf("kernels: convolution: %s: want at least %d, got %d", d.name, d.low, d.value)
		}
	}
	switch {
	case s.C%s.Groups != 0 || s.O%s.Groups != 0:
		return fmt.Errorf("kernels: convolution: groups: want a divisor of %d input and %d output channels, got %d", s.C, s.O, s.Groups)
	case s.KH > s.H+s.Top+s.Bottom || s.KW > s.W+s.Left+s.Right:
		return fmt.Errorf("kernels: convolution: kernel: want at most the padded input %d×%d, got %d×%d",
			s.H+s.Top+s.Bottom, s.W+s.Left+s.Right, s.KH, s.KW)
	case s.Planar && s.Groups != 1:
		return fmt.Errorf("kernels: convolution: planar input: want 1 group, got %d", s.Groups)
	}
	return nil
}

// depthwise reports whether every channel is a group of its own.
func (s ConvShape) depthwise() bool { return s.Groups > 1 && s.Groups == s.C && s.Groups == s.O }

// ConvPart is the part of a result that one call computes. Every split of a result into parts gives
// the same bits.
type ConvPart struct {
	N0, N1 int // images N0 ≤ n < N1
	Y0, Y1 int // rows Y0 ≤ y < Y1 of the result
	P0, P1 int // panels P0 ≤ p < P1 of the result: each is 1, 2 or 4 blocks of 16 channels
}
