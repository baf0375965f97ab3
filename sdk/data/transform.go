package data

import (
	"fmt"
	"math"
	"slices"
)

// A Transform changes the main input of an example: augmentation or preprocessing.
//
// A [Loader] calls Shape once, before the first example, and returns its error. Apply is called for
// inputs that Shape has accepted, from several goroutines at once. It does not change the value of
// the Transform and takes its random numbers from r.
type Transform interface {
	// Shape returns the dimensions of the result for an input of dimensions in, or an error if the
	// Transform is not defined for such inputs.
	Shape(in []int) ([]int, error)
	// Apply writes the transform of src, row-major and of dimensions in, to dst, which has the
	// length that Shape implies. The slices do not overlap.
	Apply(dst, src []float32, in []int, r *Random)
}

// RandomCrop pads an image [C H W] with zeros and cuts out a window at a random position. All
// positions have the same probability.
//
// The usual recipe for CIFAR is RandomCrop{Padding: 4}. Zeros are black in raw values only, so a
// crop comes before [Normalize].
type RandomCrop struct {
	// Padding is the number of zeros on each side of the image, 0 or more.
	Padding int
	// Height and Width are the size of the window; 0 means that of the image.
	Height, Width int
}

// Shape returns [C, Height, Width].
func (c RandomCrop) Shape(in []int) ([]int, error) {
	if err := checkImage("RandomCrop", in); err != nil {
		return nil, err
	}
	if c.Padding < 0 || c.Height < 0 || c.Width < 0 {
		return nil, fmt.Errorf("data: RandomCrop: want Padding, Height and Width of 0 or more, got %d, %d and %d",
			c.Padding, c.Height, c.Width)
	}
	h, w := c.window(in)
	if height, width := in[1]+2*c.Padding, in[2]+2*c.Padding; h > height || w > width {
		return nil, fmt.Errorf("data: RandomCrop: want a window of at most %d×%d, the padded image, got %d×%d", height, width, h, w)
	}
	return []int{in[0], h, w}, nil
}

// Apply writes one window.
func (c RandomCrop) Apply(dst, src []float32, in []int, r *Random) {
	h, w := c.window(in)
	top := r.IntN(in[1]+2*c.Padding-h+1) - c.Padding
	left := r.IntN(in[2]+2*c.Padding-w+1) - c.Padding
	// Columns [from, to) of the window are columns of the image. The others are padding.
	from, to := min(max(0, -left), w), max(min(w, in[2]-left), 0)
	for channel := range in[0] {
		plane := src[channel*in[1]*in[2]:]
		for y := range h {
			row := dst[(channel*h+y)*w:][:w]
			if at := top + y; at < 0 || at >= in[1] || from >= to {
				clear(row)
			} else {
				clear(row[:from])
				copy(row[from:to], plane[at*in[2]+left+from:])
				clear(row[to:])
			}
		}
	}
}

func (c RandomCrop) window(in []int) (h, w int) {
	h, w = c.Height, c.Width
	if h == 0 {
		h = in[1]
	}
	if w == 0 {
		w = in[2]
	}
	return h, w
}

// CenterCrop cuts a window out of the middle of an image [C H W]. Where the margins differ by one,
// the top and the left one are the smaller.
type CenterCrop struct {
	// Height and Width are the size of the window, from 1 to that of the image.
	Height, Width int
}

// Shape returns [C, Height, Width].
func (c CenterCrop) Shape(in []int) ([]int, error) {
	if err := checkImage("CenterCrop", in); err != nil {
		return nil, err
	}
	if c.Height < 1 || c.Width < 1 || c.Height > in[1] || c.Width > in[2] {
		return nil, fmt.Errorf("data: CenterCrop: want a window from 1×1 to %d×%d, got %d×%d", in[1], in[2], c.Height, c.Width)
	}
	return []int{in[0], c.Height, c.Width}, nil
}

// Apply writes the window.
func (c CenterCrop) Apply(dst, src []float32, in []int, _ *Random) {
	top, left := (in[1]-c.Height)/2, (in[2]-c.Width)/2
	for row := range in[0] * c.Height {
		channel, y := row/c.Height, top+row%c.Height
		copy(dst[row*c.Width:][:c.Width], src[(channel*in[1]+y)*in[2]+left:])
	}
}

// RandomHorizontalFlip mirrors an image [C H W] left to right with probability one half.
type RandomHorizontalFlip struct{}

// Shape returns in.
func (RandomHorizontalFlip) Shape(in []int) ([]int, error) {
	if err := checkImage("RandomHorizontalFlip", in); err != nil {
		return nil, err
	}
	return slices.Clone(in), nil
}

// Apply writes the image or its mirror image.
func (RandomHorizontalFlip) Apply(dst, src []float32, in []int, r *Random) {
	copy(dst, src)
	if r.IntN(2) == 0 {
		return
	}
	for row := range slices.Chunk(dst, in[2]) {
		slices.Reverse(row)
	}
}

// Normalize computes (x − Mean)/Std for each channel, the first axis.
//
// In a training set it as Normalize of the Trainer, not as a transform: it is then part of the
// programs in the file, and a Predictor takes raw values.
type Normalize struct {
	// Mean and Std have one value for each channel, in the raw unit of the set: [0, 1] for images.
	// Std is above 0.
	Mean, Std []float32
}

// Shape returns in. It is an error if Mean or Std does not have one value for each channel, a value
// is NaN or infinite, or a Std is not above 0.
func (n Normalize) Shape(in []int) ([]int, error) {
	if len(in) == 0 || len(n.Mean) != in[0] || len(n.Std) != in[0] {
		return nil, fmt.Errorf("data: Normalize: want a mean and a std for each channel of examples of shape %v, got %d and %d",
			in, len(n.Mean), len(n.Std))
	}
	for channel, std := range n.Std {
		// x−x is 0 only for finite x
		if mean := n.Mean[channel]; !(std > 0 && std <= math.MaxFloat32 && mean-mean == 0) {
			return nil, fmt.Errorf("data: Normalize: channel %d: want a finite mean and a finite std above 0, got %v and %v",
				channel, mean, std)
		}
	}
	return slices.Clone(in), nil
}

// Apply writes (src − Mean)/Std. It divides, and does not multiply by the reciprocal, so the result
// has the bits of PyTorch's.
func (n Normalize) Apply(dst, src []float32, in []int, _ *Random) {
	plane := len(src) / in[0]
	for channel, mean := range n.Mean {
		std, out := n.Std[channel], dst[channel*plane:][:plane]
		for k, v := range src[channel*plane:][:plane] {
			out[k] = (v - mean) / std
		}
	}
}

// checkImage returns an error unless in are the dimensions of an image.
func checkImage(transform string, in []int) error {
	if len(in) != 3 {
		return fmt.Errorf("data: %s: want images of shape [C H W], got %v", transform, in)
	}
	return nil
}
