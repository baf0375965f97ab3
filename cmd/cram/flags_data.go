package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/data"
)

// dataFlags name a data set.
type dataFlags struct {
	name, dir string
	size      int
}

func (f *dataFlags) add(fs *pflag.FlagSet) {
	var names []string
	for _, k := range data.KnownSets() {
		names = append(names, k.Name)
	}
	fs.StringVar(&f.name, "data", "", "data set: "+strings.Join(names, ", ")+", or folder:DIR with images in DIR/train/CLASS and DIR/test/CLASS")
	fs.StringVar(&f.dir, "data-dir", ".", "folder that holds the data set's files; get them with: cram data fetch NAME --data-dir DIR")
	fs.IntVar(&f.size, "image-size", 0, "side in pixels that the images of folder:DIR are scaled to")
}

// dataset is a data set by name: its splits, and how its images are customarily augmented and normalised.
type dataset struct {
	data.Known
	dir string
}

func (f *dataFlags) open() (dataset, error) {
	if f.name == "" {
		return dataset{}, usagef("give a data set with --data")
	}
	dir, ok := strings.CutPrefix(f.name, "folder:")
	if !ok {
		if f.size != 0 {
			return dataset{}, usagef("--image-size goes with --data folder:DIR; the images of %s have a size of their own", f.name)
		}
		known, err := data.Lookup(f.name)
		if err != nil {
			return dataset{}, usageError{err}
		}
		return dataset{known, f.dir}, nil
	}
	if f.size < 1 {
		return dataset{}, usagef("--data %s needs --image-size, the side in pixels that its images are scaled to", f.name)
	}
	return dataset{folder(f.size), dir}, nil
}

// folder describes folders of photographs: ImageNet's statistics, crop and flip.
func folder(size int) data.Known {
	return data.Known{
		Name:      "folder",
		Normalize: data.Normalize{Mean: []float32{.485, .456, .406}, Std: []float32{.229, .224, .225}},
		Augment:   []data.Transform{data.RandomCrop{Padding: size / 8}, data.RandomHorizontalFlip{}},
		Open: func(dir string, s data.Split) (data.Set, error) {
			return data.Folder(filepath.Join(dir, s.String()), size)
		},
	}
}

// split opens one split, or its first limit examples when limit is above 0.
func (d dataset) split(s data.Split, limit int) (data.Set, error) {
	if limit < 0 {
		return nil, usagef("--limit is %d, must be 0 (all) or more", limit)
	}
	set, err := d.Open(d.dir, s)
	if err != nil || limit == 0 || limit >= set.Len() {
		return set, err
	}
	first := make([]int, limit)
	for i := range first {
		first[i] = i
	}
	return data.Subset(set, first)
}

// splits opens both splits, the training split cut to its first limit examples when limit is above 0.
func (d dataset) splits(limit int) (train, test data.Set, err error) {
	if train, err = d.split(data.Train, limit); err != nil {
		return nil, nil, err
	}
	if test, err = d.split(data.Test, 0); err != nil {
		return nil, nil, err
	}
	if !slices.Equal(train.Classes(), test.Classes()) {
		return nil, nil, fmt.Errorf("%s: the training split has classes %v, the test split %v", d.Name, train.Classes(), test.Classes())
	}
	return train, test, nil
}

// describe names the training data in a network's provenance.
func (d dataset) describe(train data.Set, limit int) string {
	if limit > 0 {
		return fmt.Sprintf("%s, first %d", d.Name, train.Len())
	}
	return d.Name
}
