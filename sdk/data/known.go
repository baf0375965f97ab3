package data

import (
	"fmt"
	"strings"
)

// Known is a data set with a name, together with its usual preprocessing.
type Known struct {
	// Name is the name, for example "cifar10".
	Name string
	// Normalize has the usual mean and standard deviation of each channel.
	Normalize Normalize
	// Augment is the usual augmentation for training. It precedes Normalize.
	Augment []Transform
	// Open returns a split. dir is the directory given to Fetch; sets without files ignore it.
	Open func(dir string, s Split) (Set, error)

	download *download // nil if the set has no files
}

// KnownSets returns the data sets that [Lookup] finds, in the order of help texts.
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
			// no mirroring: a mirrored digit is not a digit
			Augment:  []Transform{RandomCrop{Padding: 2}},
			Open:     MNIST,
			download: mnistDownload,
		}, {
			Name:      "shapes",
			Normalize: Normalize{Mean: []float32{.319, .319, .319}, Std: []float32{.215, .215, .215}},
			Open:      openShapes,
		},
	}
}

// Lookup returns the data set of a name. An unknown name is an error that lists the names.
func Lookup(name string) (Known, error) {
	var names []string
	for _, k := range KnownSets() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Known{}, fmt.Errorf("data: unknown data set %q; want one of %s", name, strings.Join(names, ", "))
}
