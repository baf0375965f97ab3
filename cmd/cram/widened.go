package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
)

// noteWidened tells of the weights of a level that the file stores in 16 bits and that are computed with as float32.
func (a *app) noteWidened(file, level string, stored map[string]array.DType) {
	count := map[array.DType]int{}
	for _, d := range stored {
		count[d]++
	}
	var parts []string
	for d, n := range count {
		parts = append(parts, fmt.Sprintf("%d %v", n, d))
	}
	if len(parts) > 0 {
		slices.Sort(parts)
		a.note("%s: level %s: tensors stored in 16 bits are widened to f32 (%s)", file, level, strings.Join(parts, ", "))
	}
}

// noteDenseWidened tells of the weights of the dense level of a network that is trained or compressed further, if it has one.
func (a *app) noteDenseWidened(file string, net *sdk.Network) {
	if stored, err := net.Widened(sdk.Dense); err == nil {
		a.noteWidened(file, sdk.Dense, stored)
	}
}
