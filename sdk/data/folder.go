package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folder returns a set of images in a directory with a subdirectory for each class: dir/cat/1.jpg,
// dir/dog/7.png and so on. The classes are numbered in the order of the names of the
// subdirectories. Folder uses the files .png, .jpg and .jpeg, and ignores names that begin with a
// dot.
//
// The examples have the shape [3 size size] and are cropped and scaled as by [DecodeImage]. An
// image is decoded when it is read; one that cannot be decoded is a [*FileError] of Read. A size
// below 1, a directory without classes and a class without images are errors of Folder.
func Folder(dir string, size int) (Set, error) {
	if size < 1 {
		return nil, fmt.Errorf("data: Folder: size is %d, want at least 1", size)
	}
	const remedy = "make one subdirectory for each class, with .png or .jpg files in it"
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
			return nil, &FileError{File: class, Offset: -1, Reason: "there is no image in this class", Remedy: remedy}
		}
		set.classes = append(set.classes, entry.Name())
	}
	if len(set.classes) == 0 {
		return nil, &FileError{File: dir, Offset: -1, Reason: "there is no subdirectory", Remedy: remedy}
	}
	return FromLabeled(set)
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
	picture, err := openImage(f.files[i])
	if err != nil {
		return 0, err
	}
	resize(dst, picture, f.Shape())
	return f.labels[i], nil
}
