package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint/safetensors"
)

func file(header string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func ExampleNew() {
	data := []byte{0, 0, 128, 63, 0, 0, 0, 64} // 1, 2
	b := file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, data)
	f, err := safetensors.New(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		fmt.Println(err)
		return
	}
	w, err := f.Tensor("w")
	fmt.Println(f.Names(), w.Dims, w.F32(), err)
	// Output: [w] [2] [1 2] <nil>
}

// A file is closed when its tensors have been taken, which stay.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "cram")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "w.safetensors")
	b := file(`{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, []byte{0, 0, 128, 63, 0, 0, 0, 64})
	if err := os.WriteFile(path, b, 0o644); err != nil {
		fmt.Println(err)
		return
	}
	f, err := safetensors.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	tensors, err := f.Tensors()
	if err := errors.Join(err, f.Close()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Metadata(), tensors["w"].F32())
	// Output: map[format:pt] [1 2]
}

func TestRefuses(t *testing.T) {
	eight := make([]byte, 8)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":          {nil, "header length"},
		"short":          {[]byte{1, 2, 3}, "header length"},
		"huge header":    {[]byte{255, 255, 255, 255, 255, 255, 255, 127}, "header length"},
		"not json":       {file("{", nil), "header"},
		"dtype":          {file(`{"w":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}`, eight), "Q4"},
		"range":          {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}`, eight), "do not hold"},
		"negative shape": {file(`{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, eight), "out of range"},
		"shape overflow": {file(`{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, eight), "out of range"},
		"hole":           {file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "hole"},
		"overlap":        {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "overlap"},
		"tail":           {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, eight), "end at byte"},
		"unknown field":  {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, eight), "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := safetensors.New(bytes.NewReader(c.b), int64(len(c.b)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
