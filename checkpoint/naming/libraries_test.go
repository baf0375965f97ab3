package naming_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint/naming"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// listed is a file of zeros with the names and shapes of a list in testdata. testdata/names.py
// writes the lists.
type listed struct {
	names []string
	dims  map[string][]int
	zeros []float32 // of all tensors: those of VGG would take half a gigabyte
}

func (l listed) Names() []string { return l.names }

func (l listed) Tensor(name string) (array.Tensor, error) {
	dims, ok := l.dims[name]
	if !ok {
		return array.Tensor{}, fmt.Errorf("no tensor %q", name)
	}
	return array.From(l.zeros[:array.Count(dims)], dims...)
}

func readList(t *testing.T, path string, zeros []float32) listed {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l := listed{dims: map[string][]int{}, zeros: zeros}
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		field := strings.Fields(line)
		dims := []int{}
		for _, text := range field[1:] {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(path, err)
			}
			dims = append(dims, n)
		}
		l.names, l.dims[field[0]] = append(l.names, field[0]), dims
	}
	return l
}

// TestLibraries converts the names and shapes in testdata, which the libraries save: all of them
// and nothing else.
func TestLibraries(t *testing.T) {
	// The library of the table where it has another name.
	tables := map[string]string{"timm-resnet18": "PyTorch", "timm-resnet50": "PyTorch", "torchvision-resnet18": "PyTorch", "torchvision-resnet50": "PyTorch",
		"torchvision-vgg16-bn": "PyTorch", "keras-mobilenet_v1_0.75": "keras 3"}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 11 {
		t.Fatal(files, err)
	}
	zeros := make([]float32, 4096*25088)
	for _, path := range files {
		stem := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(stem, func(t *testing.T) {
			library, model, _ := strings.Cut(stem, "-")
			if table := tables[stem]; table != "" {
				library = table
			}
			m, input, err := models.New(model, 1000)
			if err != nil {
				t.Fatal(err)
			}
			decls, _, err := nn.Declare(m, input)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]int{}
			for _, d := range decls {
				want[d.Name], _ = d.Shape.Dims()
			}
			from := readList(t, path, zeros)
			weights, report, err := naming.Convert(want, from)
			if err != nil || report.Err() != nil {
				t.Fatal(err, report.Err())
			}
			if report.Library != library || len(weights)+len(report.LeftOut) != len(from.names) || report.Tensors != len(want) {
				t.Errorf("by the names of %s, want %s: %d weights and %d left out of %d", report.Library, library, len(weights), len(report.LeftOut), len(from.names))
			}
			for name, x := range weights {
				if !slices.Equal(x.Dims, want[name]) {
					t.Errorf("%s is %v, want %v", name, x.Dims, want[name])
				}
			}
		})
	}
}
