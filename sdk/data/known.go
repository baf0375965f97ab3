package data

import (
	"fmt"
	"strings"
)

// Known is a data set that has a name, and how it is customarily used.
type Known struct {
	Name      string
	Normalize Normalize                              // customary statistics of the training split
	Augment   []Transform                            // customary augmentation, to run before Normalize
	Open      func(dir string, s Split) (Set, error) // opens a split; dir is ignored where nothing is read

	download *download // where Fetch gets it; nil if it needs no files
}

// KnownSets lists the data sets that [Lookup] knows, in the order in which help texts show them.
func KnownSets() []Known {
	return []Known{
		{
			Name: "cifar10",
			Normalize: Normalize{
				Mean: []float32{.4914, .4822, .4465},
				Std:  []float32{.2023, .1994, .2010},
			},
			Augment:  []Transform{RandomCrop{Padding: 4}, RandomHorizontalFlip{}},
			Open:     CIFAR10,
			download: cifarDownload,
		}, {
			Name:      "fashion-mnist",
			Normalize: Normalize{Mean: []float32{.2860}, Std: []float32{.3530}},
			Augment:   []Transform{RandomCrop{Padding: 2}, RandomHorizontalFlip{}},
			Open:      FashionMNIST,
			download:  fashionDownload,
		}, {
			Name:      "mnist",
			Normalize: Normalize{Mean: []float32{.1307}, Std: []float32{.3081}},
			Augment:   []Transform{RandomCrop{Padding: 2}}, // a mirrored digit is no digit
			Open:      MNIST,
			download:  mnistDownload,
		}, {
			Name:      "shapes",
			Normalize: Normalize{Mean: []float32{.319, .319, .319}, Std: []float32{.215, .215, .215}},
			Open:      openShapes,
		},
	}
}

// Lookup returns the data set of a name, or an error that lists the names.
func Lookup(name string) (Known, error) {
	var names []string
	for _, k := range KnownSets() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Known{}, fmt.Errorf("data: unknown data set %q: expected one of %s", name, strings.Join(names, ", "))
}
