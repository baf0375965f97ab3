package data_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk/data"
)

// A Loader over a set that needs no download: shuffled, normalized, in batches of 64.
func ExampleLoader() {
	train, err := data.Shapes(200, 0)
	if err != nil {
		log.Fatal(err)
	}
	loader := data.Loader{
		Set:     train,
		Batch:   64,
		Shuffle: true,
		Seed:    10,
		Transforms: []data.Transform{
			data.RandomCrop{Padding: 2},
			data.RandomHorizontalFlip{},
			data.Normalize{Mean: []float32{.31, .31, .33}, Std: []float32{.21, .22, .22}},
		},
	}
	for batch, err := range loader.Epoch(context.Background(), 0, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.Inputs[0].Dims, batch.Targets[0].Dims)
	}
	// Output:
	// [64 3 24 24] [64]
	// [64 3 24 24] [64]
	// [64 3 24 24] [64]
	// [8 3 24 24] [8]
}

// A training that stopped before batch 2 of epoch 5 resumes with this batch.
func ExampleLoader_Epoch_resume() {
	set, err := data.Shapes(50, 0)
	if err != nil {
		log.Fatal(err)
	}
	loader := data.Loader{Set: set, Batch: 10, Shuffle: true, Seed: 1}
	for batch, err := range loader.Epoch(context.Background(), 5, 2) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.Targets[0].I32())
		break // this also ends the background goroutines
	}
	// Output:
	// [7 4 8 8 5 1 6 3 0 6]
}

func ExampleShapes() {
	set, err := data.Shapes(1000, 0)
	if err != nil {
		log.Fatal(err)
	}
	example, err := data.ReadExample(set, 123)
	if err != nil {
		log.Fatal(err)
	}
	label := example.Targets[0].I32()[0]
	fmt.Println(set.Len(), example.Inputs[0].Dims, set.Classes()[label])
	// Output:
	// 1000 [3 24 24] frame
}

func ExampleFromSlices() {
	x := []float32{0, 0, 0, 1, 1, 0, 1, 1}
	xor, err := data.FromSlices([]int{2}, x, []int{0, 1, 1, 0}, []string{"same", "different"})
	if err != nil {
		log.Fatal(err)
	}
	example, err := data.ReadExample(xor, 2)
	if err != nil {
		log.Fatal(err)
	}
	label := example.Targets[0].I32()[0]
	fmt.Println(example.Inputs[0].F32(), xor.Classes()[label])
	// Output:
	// [1 0] different
}

func ExampleFromTensor() {
	images := tensor.New(tensor.WithShape(4, 1, 8, 8), tensor.Of(tensor.Float32))
	set, err := data.FromTensor(images, []int{0, 1, 0, 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Len(), set.Inputs()[0].Shape)
	// Output:
	// 4 [1 8 8]
}

// points is a collection of 5 points on a line, of the classes even and odd.
type points struct{}

func (points) Len() int          { return 5 }
func (points) Shape() []int      { return []int{1} }
func (points) Classes() []string { return []string{"even", "odd"} }

func (points) Read(i int, dst []float32) (label int, err error) {
	dst[0] = float32(i)
	return i % 2, nil
}

// The type points has the methods of Labeled: Len, Shape, Classes and Read.
func ExampleFromLabeled() {
	set, err := data.FromLabeled(points{})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range append(set.Inputs(), set.Targets()...) {
		fmt.Println(f.Name, f.Type)
	}
	example, err := data.ReadExample(set, 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(example.Inputs[0].F32(), set.Classes()[example.Targets[0].I32()[0]])
	// Output:
	// x f32[1]
	// y i32[]
	// [3] odd
}

func ExampleReadExample() {
	set, err := data.Shapes(10, 0)
	if err != nil {
		log.Fatal(err)
	}
	example, err := data.ReadExample(set, 0)
	if err != nil {
		log.Fatal(err)
	}
	image, class := example.Inputs[0], example.Targets[0]
	fmt.Println(image.DType, image.Dims, class.DType, class.Dims)
	// Output: f32 [3 24 24] i32 []
}

// The usual augmentation for CIFAR: a crop of the image with 4 pixels of padding.
func ExampleRandomCrop() {
	crop := data.RandomCrop{Padding: 4}
	fmt.Println(crop.Shape([]int{3, 32, 32}))
	_, err := data.RandomCrop{Height: 40, Width: 40}.Shape([]int{3, 32, 32})
	fmt.Println(err)
	// Output:
	// [3 32 32] <nil>
	// data: RandomCrop: want a window of at most 32×32, the padded image, got 40×40
}

func ExampleCenterCrop() {
	crop := data.CenterCrop{Height: 1, Width: 2}
	image := []float32{
		1, 2, 3, 4,
		5, 6, 7, 8,
		9, 10, 11, 12,
	}
	window := make([]float32, 2)
	crop.Apply(window, image, []int{1, 3, 4}, nil)
	fmt.Println(window)
	// Output: [6 7]
}

func ExampleRandomHorizontalFlip() {
	row := []float32{1, 2, 3} // an image of one row
	r := data.NewRandom(1)
	for range 3 {
		out := make([]float32, 3)
		data.RandomHorizontalFlip{}.Apply(out, row, []int{1, 1, 3}, r)
		fmt.Println(out)
	}
	// Output:
	// [1 2 3]
	// [3 2 1]
	// [3 2 1]
}

func ExampleNormalize() {
	n := data.Normalize{Mean: []float32{0.5}, Std: []float32{0.25}}
	image := []float32{0, 0.5, 1}
	out := make([]float32, 3)
	n.Apply(out, image, []int{1, 1, 3}, nil)
	fmt.Println(out)
	// Output: [-2 0 2]
}

// brightness is a Transform that multiplies an image by a random number from 0.8 to 1.2.
type brightness struct{}

func (brightness) Shape(in []int) ([]int, error) { return in, nil }

func (brightness) Apply(dst, src []float32, in []int, r *data.Random) {
	factor := 0.8 + 0.4*r.Float32()
	for i, v := range src {
		dst[i] = min(factor*v, 1)
	}
}

// The type brightness has the methods of Transform: Shape and Apply.
func ExampleTransform() {
	set, err := data.Shapes(10, 0)
	if err != nil {
		log.Fatal(err)
	}
	loader := data.Loader{Set: set, Batch: 10, Transforms: []data.Transform{brightness{}}}
	for batch, err := range loader.Epoch(context.Background(), 0, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch.Inputs[0].Dims)
	}
	// Output: [10 3 24 24]
}

// A tenth of the training examples, drawn at random, is held out for validation.
func ExampleSubset() {
	all, err := data.Shapes(1000, 0)
	if err != nil {
		log.Fatal(err)
	}
	order := data.NewRandom(7).Perm(all.Len())
	validation, err := data.Subset(all, order[:100])
	if err != nil {
		log.Fatal(err)
	}
	train, err := data.Subset(all, order[100:])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(train.Len(), validation.Len())
	// Output:
	// 900 100
}

func ExampleSample() {
	all, err := data.Shapes(50000, 0)
	if err != nil {
		log.Fatal(err)
	}
	calibration, err := data.Sample(all, 1000, 7)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(calibration.Len())
	// Output:
	// 1000
}

// The error for a missing file contains a remedy.
func ExampleCIFAR10() {
	_, err := data.CIFAR10("no-such-directory", data.Train)
	var fault *data.FileError
	if errors.As(err, &fault) && errors.Is(err, fs.ErrNotExist) {
		fmt.Println(fault.Remedy)
	}
	// Output:
	// get it with: cram data fetch cifar10 --data-dir no-such-directory
}

func ExampleLookup() {
	known, err := data.Lookup("cifar10")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(known.Normalize.Mean, known.Normalize.Std)
	_, err = data.Lookup("cifar11")
	fmt.Println(err)
	// Output:
	// [0.4914 0.4822 0.4465] [0.2023 0.1994 0.201]
	// data: unknown data set "cifar11"; want one of cifar10, fashion-mnist, mnist, shapes
}

// photograph writes a gray PNG image of 300×400 pixels.
func photograph(path string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		log.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, image.NewGray(image.Rect(0, 0, 300, 400))); err != nil {
		log.Fatal(err)
	}
}

// Photographs in pets/cat, pets/dog, …, scaled so that 224×224 remain after a random crop.
func ExampleFolder() {
	dir, err := os.MkdirTemp("", "pets")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"cat/1.png", "dog/1.png", "dog/2.png"} {
		photograph(filepath.Join(dir, name))
	}
	set, err := data.Folder(dir, 256)
	if err != nil {
		log.Fatal(err)
	}
	loader := data.Loader{
		Set:        set,
		Batch:      32,
		Shuffle:    true,
		Transforms: []data.Transform{data.RandomCrop{Height: 224, Width: 224}, data.RandomHorizontalFlip{}},
	}
	for batch, err := range loader.Epoch(context.Background(), 0, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(set.Classes(), batch.Inputs[0].Dims)
	}
	// Output: [cat dog] [3 3 224 224]
}

// A photograph as a batch of one, for Predictor.Predict.
func ExampleImage() {
	dir, err := os.MkdirTemp("", "pets")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "samoyed.png")
	photograph(file)
	x, err := data.Image(file, []int{3, 224, 224})
	if err != nil {
		log.Fatal(err)
	}
	batch := tensor.New(tensor.WithShape(1, 3, 224, 224), tensor.WithBacking(x))
	fmt.Println(batch.Shape())
	// Output: (1, 3, 224, 224)
}

// A service that receives an image.
func ExampleDecodeImage() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		x, err := data.DecodeImage(http.MaxBytesReader(w, r.Body, 10<<20), []int{3, 224, 224})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, len(x), "values")
	}
	var body bytes.Buffer
	if err := png.Encode(&body, image.NewGray(image.Rect(0, 0, 300, 400))); err != nil {
		log.Fatal(err)
	}
	response := httptest.NewRecorder()
	handler(response, httptest.NewRequest(http.MethodPost, "/", &body))
	fmt.Print(response.Body)
	// Output: 150528 values
}

func ExampleFetch() {
	progress := func(file string, done, total int64) {
		fmt.Printf("%s: %d of %d bytes\n", file, done, total)
	}
	ctx := context.Background()
	if err := data.Fetch(ctx, "fashion-mnist", "datasets", data.FetchOptions{Progress: progress}); err != nil {
		log.Fatal(err)
	}
	train, err := data.FashionMNIST("datasets", data.Train)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(train.Len())
}

func ExampleNewRandom() {
	r := data.NewRandom(10, 3, 14) // seed, epoch, index
	fmt.Println(r.IntN(100), r.IntN(100), r.IntN(100))
	// Output:
	// 98 68 12
}

func ExampleKnownSets() {
	for _, known := range data.KnownSets() {
		fmt.Println(known.Name, len(known.Augment))
	}
	// Output:
	// cifar10 2
	// fashion-mnist 2
	// mnist 1
	// shapes 0
}

// Fetch puts the files where MNIST looks for them.
func ExampleMNIST() {
	if err := data.Fetch(context.Background(), "mnist", "datasets", data.FetchOptions{}); err != nil {
		log.Fatal(err)
	}
	test, err := data.MNIST("datasets", data.Test)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(test.Len())
}

func ExampleFashionMNIST() {
	if err := data.Fetch(context.Background(), "fashion-mnist", "datasets", data.FetchOptions{}); err != nil {
		log.Fatal(err)
	}
	train, err := data.FashionMNIST("datasets", data.Train)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(train.Classes())
}
