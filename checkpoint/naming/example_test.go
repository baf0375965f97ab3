package naming_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/compressaware/cram/checkpoint/naming"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk/array"
)

// Some libraries name a family of networks in a way of their own; here the first rule of each.
func ExampleTables() {
	for _, t := range naming.Tables() {
		rule := t.Rules[0]
		fmt.Printf("%-12s  %-12s  %s is %s\n", t.Library, t.Family, rule.Ours, rule.Theirs)
	}
	// Output:
	// PyTorch                     * is *
	// transformers  ResNet        conv1.* is resnet.embedder.embedder.convolution.*
	// timm          VGG           features.* is features.*
	// transformers  MobileNet v1  conv1.* is mobilenet_v1.conv_stem.convolution.*
	// keras 2       MobileNet v1  conv_dw_{i}.weight is conv_dw_{i}/depthwise_kernel
	// keras 3       MobileNet v1  conv_dw_{i}.weight is conv_dw_{i}/kernel
}

func ExampleConvert() {
	bias, err := array.FromF32([]float32{1, 2})
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
	// naming: 1 names do not fit, read by the names of transformers: classifier.1.weight is missing (here: fc.weight)
}
