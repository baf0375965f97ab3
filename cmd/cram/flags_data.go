package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/sdk/data"
)

// dataFlags select a data set.
type dataFlags struct {
	name, dir string
	size      int
}

func (f *dataFlags) add(fs *pflag.FlagSet) {
	names := strings.Join(datasetNames(), ", ")
	fs.StringVar(&f.name, "data", "", "`NAME` of a data set: "+names+"; or folder:DIR for images in DIR/train/CLASS and DIR/test/CLASS")
	fs.StringVar(&f.dir, "data-dir", ".", "`DIR` with the files of the data set, as written by cram data fetch")
	fs.IntVar(&f.size, "image-size", 0, "height and width in pixels to which images are scaled; required with folder:DIR, not allowed with other data sets")
}

// datasetNames returns the names of the known data sets.
func datasetNames() []string {
	var names []string
	for _, k := range data.KnownSets() {
		names = append(names, k.Name)
	}
	return names
}

// A dataset is a data set with its usual augmentation and normalization, and the directory of its
// files.
type dataset struct {
	data.Known
	dir string
}

func (f *dataFlags) open() (dataset, error) {
	if f.name == "" {
		return dataset{}, usagef("--data: want the name of a data set, got none")
	}
	dir, ok := strings.CutPrefix(f.name, "folder:")
	if ok {
		if err := requireFlag(f.size > 0, "image-size", "1 or more pixels with --data folder:DIR", f.size); err != nil {
			return dataset{}, err
		}
		return dataset{folder(f.size), dir}, nil
	}
	if f.size != 0 {
		return dataset{}, usagef("--image-size applies to --data folder:DIR only; the images of %s are not scaled", f.name)
	}
	if err := oneOf("data", f.name, append(datasetNames(), "folder:DIR")...); err != nil {
		return dataset{}, err
	}
	known, err := data.Lookup(f.name)
	return dataset{known, f.dir}, err
}

// folder returns the data set of folder:DIR: photographs, with the statistics of ImageNet, random
// crops and flips.
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

// split opens one split, or its first limit examples if limit is above 0.
func (d dataset) split(s data.Split, limit int) (data.Set, error) {
	if err := requireFlag(limit >= 0, "limit", "0 (all) or more", limit); err != nil {
		return nil, err
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

// splits opens both splits. A limit above 0 restricts the training split to its first examples.
func (d dataset) splits(limit int) (train, test data.Set, err error) {
	if train, err = d.split(data.Train, limit); err != nil {
		return nil, nil, err
	}
	if test, err = d.split(data.Test, 0); err != nil {
		return nil, nil, err
	}
	if !slices.Equal(train.Classes(), test.Classes()) {
		return nil, nil, fmt.Errorf("%s: want the same classes in both splits, got %v in train and %v in test",
			d.Name, train.Classes(), test.Classes())
	}
	return train, test, nil
}

// describe returns the text for the training data in a network's file.
func (d dataset) describe(train data.Set, limit int) string {
	if limit > 0 {
		return fmt.Sprintf("%s, first %d", d.Name, train.Len())
	}
	return d.Name
}
