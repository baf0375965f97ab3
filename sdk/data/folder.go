package data

import (
	"fmt"
	"image"
	_ "image/jpeg" // register the decoders that Folder promises
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/image/draw"
)

// Folder opens a folder of images, one sub-folder a class: dir/cat/1.jpg, dir/dog/7.png, …. Classes are numbered in the
// order of the sub-folders' names; files other than .png, .jpg and .jpeg, and names that start with a dot, are passed over.
//
// Examples have shape [3,size,size]: the largest centred square, scaled with a bilinear filter that widens when it
// shrinks (draw.BiLinear of golang.org/x/image, like PIL's). Grey becomes three equal channels, transparency black;
// EXIF orientation is ignored. Images are decoded when read; one that cannot be is a [FileError] from Read. It is an
// error if size is below one, there is no class, or a class has no image.
func Folder(dir string, size int) (Set, error) {
	if size < 1 {
		return nil, fmt.Errorf("data: Folder: size is %d, expected at least 1", size)
	}
	const remedy = "expected one sub-folder a class with .png or .jpg files in it"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &FileError{File: dir, Offset: -1, Remedy: remedy, Err: err}
	}
	set := &folder{size: size}
	for _, entry := range entries { // sorted by name
		class := filepath.Join(dir, entry.Name())
		if info, err := os.Stat(class); err != nil || !info.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		files, err := os.ReadDir(class)
		if err != nil {
			return nil, &FileError{File: class, Offset: -1, Remedy: remedy, Err: err}
		}
		before := len(set.files)
		for _, file := range files {
			extension := strings.ToLower(filepath.Ext(file.Name()))
			if slices.Contains([]string{".png", ".jpg", ".jpeg"}, extension) && !strings.HasPrefix(file.Name(), ".") {
				set.files = append(set.files, filepath.Join(class, file.Name()))
				set.labels = append(set.labels, len(set.classes))
			}
		}
		if len(set.files) == before {
			return nil, &FileError{File: class, Offset: -1, Reason: "no image in this class", Remedy: remedy}
		}
		set.classes = append(set.classes, entry.Name())
	}
	if len(set.classes) == 0 {
		return nil, &FileError{File: dir, Offset: -1, Reason: "no sub-folder", Remedy: remedy}
	}
	return set, nil
}

type folder struct {
	size    int
	files   []string
	labels  []int
	classes []string
}

func (f *folder) Len() int          { return len(f.files) }
func (f *folder) Shape() []int      { return []int{3, f.size, f.size} }
func (f *folder) Classes() []string { return f.classes }

func (f *folder) Read(i int, dst []float32) (int, error) {
	if err := checkRead(i, len(f.files), len(dst), 3*f.size*f.size); err != nil {
		return 0, err
	}
	picture, err := decode(f.files[i])
	if err != nil {
		return 0, err
	}
	scaled := image.NewRGBA(image.Rect(0, 0, f.size, f.size))
	draw.BiLinear.Scale(scaled, scaled.Bounds(), picture, centredSquare(picture.Bounds()), draw.Src, nil)
	plane := f.size * f.size
	for k := range plane {
		for channel := range 3 {
			dst[channel*plane+k] = unit[scaled.Pix[4*k+channel]]
		}
	}
	return f.labels[i], nil
}

// maxPixels bounds the images that are decoded, at 512 MiB in memory: a few bytes of file can claim far more.
const maxPixels = 1 << 27

// decode reads an image, after looking at its size.
func decode(path string) (image.Image, error) {
	const remedy = "replace or remove the file"
	f, err := os.Open(path)
	if err != nil {
		return nil, &FileError{File: path, Offset: -1, Err: err}
	}
	defer f.Close()
	config, _, err := image.DecodeConfig(f)
	if err == nil && (config.Width < 1 || config.Height < 1 || config.Width > maxPixels/config.Height) {
		err = fmt.Errorf("expected an image of 1 to %d pixels, got %d×%d", maxPixels, config.Width, config.Height)
	}
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	var picture image.Image
	if err == nil {
		picture, _, err = image.Decode(f)
	}
	if err != nil {
		return nil, &FileError{File: path, Offset: -1, Reason: "cannot decode the image", Remedy: remedy, Err: err}
	}
	return picture, nil
}

// centredSquare returns the largest square in the middle of r.
func centredSquare(r image.Rectangle) image.Rectangle {
	side := min(r.Dx(), r.Dy())
	corner := r.Min.Add(image.Pt((r.Dx()-side)/2, (r.Dy()-side)/2))
	return image.Rectangle{Min: corner, Max: corner.Add(image.Pt(side, side))}
}
