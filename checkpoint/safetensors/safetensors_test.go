package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

// eager returns io.EOF along with the last bytes, as an io.ReaderAt may.
type eager []byte

func (e eager) ReadAt(b []byte, at int64) (int, error) {
	n := copy(b, e[min(at, int64(len(e))):])
	if at+int64(n) == int64(len(e)) {
		return n, io.EOF
	}
	return n, nil
}

func TestEager(t *testing.T) {
	for _, b := range [][]byte{
		// ends with a tensor
		file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, []byte{0, 0, 128, 63, 0, 0, 0, 64}),
		file(`{}`, nil), // ends with the header
	} {
		f, err := safetensors.New(eager(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		all, err := f.Tensors()
		if err != nil {
			t.Error(err)
		}
		if x, ok := all["w"]; ok && !slices.Equal(x.F32(), []float32{1, 2}) {
			t.Error(x.F32())
		}
	}
	b := file(`{}`, nil)
	if _, err := safetensors.New(eager(b[:9]), int64(len(b))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that ends early: %v", err)
	}
}

// The tensors stay valid after Close.
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
		"huge header":    {[]byte{255, 255, 255, 255, 255, 255, 255, 127}, "want a header of at most 0 bytes in a file of 8"},
		"not json":       {file("{", nil), "header"},
		"dtype":          {file(`{"w":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}`, eight), "Q4"},
		"range":          {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}}`, eight), "do not hold"},
		"negative shape": {file(`{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, eight), "out of range"},
		"shape overflow": {file(`{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, eight), "out of range"},
		"hole":           {file(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "hole"},
		"overlap":        {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight), "overlap"},
		"tail":           {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, eight), "end at byte 4"},
		"bytes overflow": {file(`{"w":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, nil), "out of range"},
		"too large":      {file(`{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, eight), "out of range"},
		"backwards":      {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, eight), "do not hold"},
		"tensor twice": {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}`, eight),
			`"w" occurs twice`},
		"escaped twice": {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\u0077":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}`, eight),
			`"w" occurs twice`},
		"field twice":    {file(`{"w":{"dtype":"I32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, eight), `"dtype" occurs twice`},
		"other case":     {file(`{"w":{"dtype":"I32","Dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, eight), `unknown field "Dtype"`},
		"metadata twice": {file(`{"__metadata__":{"a":"1","a":"2"}}`, nil), `"a" occurs twice`},
		"three offsets":  {file(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, eight), "want two"},
		"no shape":       {file(`{"w":{"dtype":"F32","data_offsets":[0,4]}}`, eight[:4]), `lacks "shape"`},
		"no object":      {file(`[]`, nil), "want a JSON object"},
		"two objects":    {file(`{}{}`, nil), "follow"},
		"checkpoint":     {[]byte("\xa4cram\x01\xc4\x04"), "cram checkpoint"},
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
