package data_test

import (
	"math"
	"slices"
	"testing"

	"github.com/compressaware/cram/internal/testdata"
	"github.com/compressaware/cram/sdk/data"
)

// TestPublishedSets compares the real data sets with published facts: sizes, the first labels, the
// number of examples of each class, and the mean and deviation of each channel.
func TestPublishedSets(t *testing.T) {
	type facts struct {
		n         int
		perClass  int // 0 where classes differ in size
		labels    []int
		mean, std []float64 // nil if there is no published value
	}
	for _, c := range []struct {
		name, directory string
		split           data.Split
		facts
	}{
		{"cifar10", "cifar-10-batches-bin", data.Train, facts{50000, 5000, []int{6, 9, 9, 4, 1, 1, 2, 7, 8, 3},
			[]float64{.4914, .4822, .4465}, []float64{.2470, .2435, .2616}}},
		{"cifar10", "cifar-10-batches-bin", data.Test, facts{10000, 1000, []int{3, 8, 8, 0, 6, 6, 1, 6, 3, 1}, nil, nil}},
		{"mnist", "mnist", data.Train, facts{60000, 0, []int{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, []float64{.1307}, []float64{.3081}}},
		{"mnist", "mnist", data.Test, facts{10000, 0, []int{7, 2, 1, 0, 4, 1, 4, 9, 5, 9}, nil, nil}},
		{"fashion-mnist", "fashion-mnist", data.Train, facts{60000, 6000, []int{9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, []float64{.2860}, []float64{.3530}}},
		{"fashion-mnist", "fashion-mnist", data.Test, facts{10000, 1000, []int{9, 2, 1, 1, 6, 1, 4, 6, 5, 7}, nil, nil}},
	} {
		t.Run(c.name+" "+c.split.String(), func(t *testing.T) {
			dir := testdata.Dir(t, c.directory)
			known, err := data.Lookup(c.name)
			if err != nil {
				t.Fatal(err)
			}
			set, err := known.Open(dir, c.split)
			if err != nil {
				t.Fatal(err)
			}
			if set.Len() != c.n || len(set.Classes()) != 10 {
				t.Fatalf("%d examples in %d classes, want %d in 10", set.Len(), len(set.Classes()), c.n)
			}
			for i, want := range c.labels {
				if _, label := read(t, set, i); label != want {
					t.Errorf("label %d is %d, want %d", i, label, want)
				}
			}
			checkBounds(t, set)
			if testing.Short() {
				return // the rest reads every example
			}
			count, sum, squares := classesAndMoments(t, set)
			for label, n := range count {
				if c.perClass > 0 && n != c.perClass {
					t.Errorf("class %d has %d examples, want %d", label, n, c.perClass)
				}
			}
			for channel := range c.mean {
				mean := sum[channel]
				std := math.Sqrt(squares[channel] - mean*mean)
				// quoted to four digits
				if math.Abs(mean-c.mean[channel]) > 6e-5 || math.Abs(std-c.std[channel]) > 6e-5 {
					t.Errorf("channel %d: mean %.4f, std %.4f; want %v, %v", channel, mean, std, c.mean[channel], c.std[channel])
				}
			}
		})
	}
}

// classesAndMoments counts the labels and returns the means of the values and their squares by
// channel.
func classesAndMoments(t *testing.T, set data.Set) (count []int, mean, squares []float64) {
	t.Helper()
	shape := shape(set)
	plane := shape[1] * shape[2]
	x := make([]float32, shape[0]*plane)
	count = make([]int, len(set.Classes()))
	mean, squares = make([]float64, shape[0]), make([]float64, shape[0])
	for i := range set.Len() {
		label, err := readInto(set, i, x)
		if err != nil {
			t.Fatal(err)
		}
		count[label]++
		for k, v := range x {
			mean[k/plane] += float64(v)
			squares[k/plane] += float64(v) * float64(v)
		}
	}
	for channel := range mean {
		mean[channel] /= float64(set.Len() * plane)
		squares[channel] /= float64(set.Len() * plane)
	}
	return count, mean, squares
}

func TestCIFARClasses(t *testing.T) {
	set, err := data.CIFAR10(testdata.Dir(t, "cifar-10-batches-bin"), data.Test)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
	if !slices.Equal(set.Classes(), want) {
		t.Errorf("classes %v, want %v", set.Classes(), want)
	}
}
