package data

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // register the decoders
	_ "image/png"
	"io"
	"os"

	"golang.org/x/image/draw"

	"github.com/compressaware/cram/internal/gorgonia"
)

// Image reads a PNG or JPEG file as one example, as [DecodeImage] does. A file that cannot be read
// or decoded is a [*FileError].
func Image(path string, shape []int) ([]float32, error) {
	if err := checkPicture(shape); err != nil {
		return nil, err
	}
	picture, err := openImage(path)
	if err != nil {
		return nil, err
	}
	return resized(picture, shape), nil
}

// DecodeImage reads a PNG or JPEG image as one example of shape [3 H W] (RGB) or [1 H W] (gray),
// with values in [0, 1].
//
// It takes the largest centered part of the picture with the proportions of H and W, and scales it
// by a bilinear filter whose width grows with the reduction (draw.BiLinear of golang.org/x/image;
// PIL has the same filter). Gray is copied to three channels. Color becomes gray by 0.299 R + 0.587
// G + 0.114 B. Transparent pixels become black. The EXIF orientation is ignored.
//
// An image that cannot be decoded or has more than 2²⁷ pixels is an error. Limit the size of r if
// it is untrusted, for example by http.MaxBytesReader.
func DecodeImage(r io.Reader, shape []int) ([]float32, error) {
	if err := checkPicture(shape); err != nil {
		return nil, err
	}
	picture, err := decode(r)
	if err != nil {
		return nil, fmt.Errorf("data: cannot decode the image: %w", err)
	}
	return resized(picture, shape), nil
}

// checkPicture returns an error if shape is not the shape of an image.
func checkPicture(shape []int) error {
	if _, err := gorgonia.Elements(shape); err != nil || len(shape) != 3 || shape[0] != 1 && shape[0] != 3 {
		return fmt.Errorf("data: want an image shape [3 H W] or [1 H W], got %v", shape)
	}
	return nil
}

// resized returns a picture as an example of the given shape.
func resized(picture image.Image, shape []int) []float32 {
	x := make([]float32, shape[0]*shape[1]*shape[2])
	resize(x, picture, shape)
	return x
}

// openImage reads an image from a file.
func openImage(path string) (image.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &FileError{File: path, Offset: -1, Remedy: "check that the file exists and can be read", Err: err}
	}
	defer f.Close()
	picture, err := decode(f)
	if err != nil {
		return nil, &FileError{File: path, Offset: -1, Reason: "cannot decode the image", Remedy: "replace or remove the file", Err: err}
	}
	return picture, nil
}

// maxPixels limits the decoded images to 512 MiB of memory. A file of a few bytes can declare more.
const maxPixels = 1 << 27

// decode reads an image if its declared size is in range.
func decode(r io.Reader) (image.Image, error) {
	var head bytes.Buffer
	config, _, err := image.DecodeConfig(io.TeeReader(r, &head))
	if err != nil {
		return nil, err
	}
	if config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height {
		return nil, fmt.Errorf("want an image of 1 to %d pixels, got %d×%d", maxPixels, config.Width, config.Height)
	}
	picture, _, err := image.Decode(io.MultiReader(&head, r))
	return picture, err
}

// resize writes the center of a picture to dst, scaled to shape [C H W] with C = 1 or 3.
func resize(dst []float32, picture image.Image, shape []int) {
	height, width := shape[1], shape[2]
	scaled := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.BiLinear.Scale(scaled, scaled.Bounds(), picture, center(picture.Bounds(), height, width), draw.Src, nil)
	plane := height * width
	for k := range plane {
		rgb := scaled.Pix[4*k:][:3]
		if shape[0] == 1 {
			dst[k] = unit[(299*int(rgb[0])+587*int(rgb[1])+114*int(rgb[2])+500)/1000]
			continue
		}
		for channel, v := range rgb {
			dst[channel*plane+k] = unit[v]
		}
	}
}

// center returns the largest rectangle in the middle of r with the proportions of height and width,
// with at least one pixel in each direction.
func center(r image.Rectangle, height, width int) image.Rectangle {
	w, h := r.Dx(), max(r.Dx()*height/width, 1)
	if h > r.Dy() {
		w, h = max(r.Dy()*width/height, 1), r.Dy()
	}
	corner := r.Min.Add(image.Pt((r.Dx()-w)/2, (r.Dy()-h)/2))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(w, h))}
}
