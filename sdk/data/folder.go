package data

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folder opens a folder of images, one sub-folder a class: dir/cat/1.jpg, dir/dog/7.png, …. Classes are numbered in the
// order of the sub-folders' names; files other than .png, .jpg and .jpeg, and names that start with a dot, are passed over.
//
// Examples have shape [3,size,size], cropped and scaled as [DecodeImage] does it. Images are decoded when read; one that cannot
// be is a [FileError] from Read. It is an error if size is below one, there is no class, or a class has no image.
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
	picture, err := openImage(f.files[i])
	if err != nil {
		return 0, err
	}
	fit(dst, picture, f.Shape())
	return f.labels[i], nil
}
