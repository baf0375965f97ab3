package naming_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/compressaware/cram/checkpoint/naming"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk/array"
)

func ExampleConvert() {
	bias, err := array.From([]float32{1, 2})
	if err != nil {
		log.Fatal(err)
	}
	var b bytes.Buffer
	err = safetensors.Write(&b, map[string]array.Value{"classifier.1.bias": array.DenseValue(bias)}, nil)
	if err != nil {
		log.Fatal(err)
	}
	file, err := safetensors.New(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		log.Fatal(err)
	}
	weights, report, err := naming.Convert(map[string][]int{"fc.bias": {2}}, file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Library, weights["fc.bias"].F32(), report.Err())

	_, report, err = naming.Convert(map[string][]int{"fc.bias": {2}, "fc.weight": {2, 4}}, file)
	fmt.Println(err)
	fmt.Println(report.Err())
	// Output:
	// transformers [1 2] <nil>
	// <nil>
	// naming: 1 names do not fit those of transformers: classifier.1.weight is missing (here: fc.weight)
}
