package data

import (
	"fmt"
	"math"
	"slices"
)

// Transform turns one example into another: augmentation and preprocessing.
//
// A Loader asks Shape once, before the first example, and reports its error; Apply has nothing left
// to refuse. The value is shared by goroutines: Apply must not write to it, and takes what is
// random from r alone.
type Transform interface {
	// Shape returns the dimensions that Apply writes for an input of dimensions in, or says why it
	// cannot.
	Shape(in []int) ([]int, error)
	// Apply writes the transform of src, of dimensions in, to dst. The two do not overlap.
	Apply(dst, src []float32, in []int, r *Random)
}

// RandomCrop surrounds an image with Padding zeros on each side and cuts a Height by Width window
// out at random, every position equally likely. A Height or Width of 0 means the image's own.
//
// As in the usual CIFAR recipe (padding 4), the padding is black: crop before [Normalize].
type RandomCrop struct {
	Padding       int
	Height, Width int
}

// Shape returns [C, Height, Width].
func (c RandomCrop) Shape(in []int) ([]int, error) {
	if err := checkImage("RandomCrop", in); err != nil {
		return nil, err
	}
	if c.Padding < 0 || c.Height < 0 || c.Width < 0 {
		return nil, fmt.Errorf("data: %+v: expected no negative field", c)
	}
	h, w := c.window(in)
	if h > in[1]+2*c.Padding || w > in[2]+2*c.Padding {
		return nil, fmt.Errorf("data: RandomCrop: a %d×%d window does not fit an image of %d×%d with padding %d", h, w, in[1], in[2], c.Padding)
	}
	return []int{in[0], h, w}, nil
}

// Apply cuts one window.
func (c RandomCrop) Apply(dst, src []float32, in []int, r *Random) {
	h, w := c.window(in)
	top := r.IntN(in[1]+2*c.Padding-h+1) - c.Padding
	left := r.IntN(in[2]+2*c.Padding-w+1) - c.Padding
	// Columns [from, to) of the window lie on the image, the others on the padding.
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

// CenterCrop cuts a Height by Width window out of the middle of an image, rounding up and left.
type CenterCrop struct{ Height, Width int }

// Shape returns [C, Height, Width].
func (c CenterCrop) Shape(in []int) ([]int, error) {
	if err := checkImage("CenterCrop", in); err != nil {
		return nil, err
	}
	if c.Height < 1 || c.Width < 1 || c.Height > in[1] || c.Width > in[2] {
		return nil, fmt.Errorf("data: CenterCrop: a %d×%d window does not fit an image of %d×%d", c.Height, c.Width, in[1], in[2])
	}
	return []int{in[0], c.Height, c.Width}, nil
}

// Apply cuts the window.
func (c CenterCrop) Apply(dst, src []float32, in []int, _ *Random) {
	top, left := (in[1]-c.Height)/2, (in[2]-c.Width)/2
	for row := range in[0] * c.Height {
		channel, y := row/c.Height, top+row%c.Height
		copy(dst[row*c.Width:][:c.Width], src[(channel*in[1]+y)*in[2]+left:])
	}
}

// RandomHorizontalFlip mirrors an image left to right with probability one half.
type RandomHorizontalFlip struct{}

// Shape returns in.
func (RandomHorizontalFlip) Shape(in []int) ([]int, error) {
	if err := checkImage("RandomHorizontalFlip", in); err != nil {
		return nil, err
	}
	return slices.Clone(in), nil
}

// Apply mirrors the image, or copies it.
func (RandomHorizontalFlip) Apply(dst, src []float32, in []int, r *Random) {
	copy(dst, src)
	if r.IntN(2) == 0 {
		return
	}
	for row := range slices.Chunk(dst, in[2]) {
		slices.Reverse(row)
	}
}

// Normalize subtracts a mean from each channel and divides by a standard deviation, both in the
// set's raw unit. It belongs at the end of the transforms, and is part of the trained model: a
// checkpoint stores it.
type Normalize struct{ Mean, Std []float32 }

// Shape returns in. It is an error if Mean or Std has not one value a channel, or a Std is not
// above zero.
func (n Normalize) Shape(in []int) ([]int, error) {
	if len(in) == 0 || len(n.Mean) != in[0] || len(n.Std) != in[0] {
		return nil, fmt.Errorf("data: Normalize: examples of shape %v need a mean and a std for each channel, got %d and %d", in, len(n.Mean), len(n.Std))
	}
	for channel, std := range n.Std {
		if mean := n.Mean[channel]; !(std > 0 && std <= math.MaxFloat32 && mean-mean == 0) { // x−x is 0 exactly for finite x
			return nil, fmt.Errorf("data: Normalize: mean and std of channel %d are %v and %v, expected finite ones, the std above 0", channel, mean, std)
		}
	}
	return slices.Clone(in), nil
}

// Apply writes (src − Mean) / Std. The division stays a division: the result is PyTorch's, bit for
// bit.
func (n Normalize) Apply(dst, src []float32, in []int, _ *Random) {
	plane := len(src) / in[0]
	for channel, mean := range n.Mean {
		std, out := n.Std[channel], dst[channel*plane:][:plane]
		for k, v := range src[channel*plane:][:plane] {
			out[k] = (v - mean) / std
		}
	}
}

func checkImage(transform string, in []int) error {
	if len(in) != 3 {
		return fmt.Errorf("data: %s: expected images of shape [C,H,W], got %v", transform, in)
	}
	return nil
}
