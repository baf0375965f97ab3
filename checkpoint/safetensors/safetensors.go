// Package safetensors reads and writes files in Hugging Face's safetensors format: the length of
// the header in eight bytes, little-endian; a JSON header with the dtype, shape and byte range of
// each tensor by name; and the tensors. See https://github.com/huggingface/safetensors.
//
// The reader checks everything before it reads a tensor: the header has at most [MaxHeader] bytes
// and no key twice; ranges are inside the file, fit their shapes, and have no overlaps and no
// holes.
//
// The package github.com/nlpodyssey/safetensors is an alternative. It needs the whole file in one
// []byte and has no released version; this one reads one tensor at a time from an io.ReaderAt.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// MaxHeader is the limit of a header in bytes, that of the format's own implementation.
const MaxHeader = 100_000_000

// A File is an open safetensors file. Its methods are safe for concurrent use.
type File struct {
	r        io.ReaderAt
	closer   io.Closer
	base     int64
	entries  map[string]entry
	names    []string
	metadata map[string]string
}

type entry struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

var dtypes = map[string]array.DType{
	"F32": array.F32, "F64": array.F64, "F16": array.F16, "BF16": array.BF16, "I8": array.I8, "I32": array.I32, "I64": array.I64,
}

// Open opens the file at path and refuses anything but a regular file. The caller closes the File.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a pipe waits for a writer
		return nil, fmt.Errorf("safetensors: %s: not a regular file: %v", path, info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	info, err = f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	s, err := New(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.closer = f
	return s, nil
}

// New returns a File of the size bytes of r. It reads the header only.
func New(r io.ReaderAt, size int64) (*File, error) {
	if r == nil {
		return nil, errors.New("safetensors: want an io.ReaderAt, got nil")
	}
	read := func(b []byte, at int64) error {
		_, err := io.ReadFull(io.NewSectionReader(r, at, int64(len(b))), b)
		return err
	}
	var prefix [8]byte
	if err := read(prefix[:], 0); err != nil {
		return nil, fmt.Errorf("safetensors: header length: %w", err)
	}
	if bytes.HasPrefix(prefix[:], []byte(checkpoint)) {
		return nil, errors.New("safetensors: want a safetensors file, got a cram checkpoint, which needs no import")
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > MaxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("safetensors: want a header of at most %d bytes in a file of %d bytes, got %d", min(MaxHeader, max(0, size-8)), size, n)
	}
	header := make([]byte, n)
	if err := read(header, 8); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	f := &File{r: r, base: 8 + int64(n), entries: map[string]entry{}}
	if err := f.parse(header, size-8-int64(n)); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	return f, nil
}

// checkpoint is the start of a checkpoint of cram.
const checkpoint = "\xa4cram"

func (f *File) parse(header []byte, data int64) error {
	raw, err := object(header)
	if err != nil {
		return err
	}
	for name, text := range raw {
		if name == "__metadata__" {
			if _, err := object(text); err != nil {
				return fmt.Errorf("metadata: %w", err)
			}
			if err := json.Unmarshal(text, &f.metadata); err != nil {
				return fmt.Errorf("metadata: %w", err)
			}
			continue
		}
		e, err := parseEntry(text)
		if err == nil {
			err = e.check(data)
		}
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		f.entries[name] = e
		f.names = append(f.names, name)
	}
	slices.SortFunc(f.names, func(a, b string) int {
		return int(min(1, max(-1, f.entries[a].Offsets[0]-f.entries[b].Offsets[0])))
	})
	at := int64(0)
	for _, name := range f.names {
		e := f.entries[name]
		if e.Offsets[0] != at {
			return fmt.Errorf("tensor %q: want its range from byte %d on, got %d: ranges overlap or leave a hole", name, at, e.Offsets[0])
		}
		at = e.Offsets[1]
	}
	if at != data {
		return fmt.Errorf("want tensors in all %d bytes after the header, they end at byte %d", data, at)
	}
	return nil
}

func (e entry) check(data int64) error {
	d, ok := dtypes[e.DType]
	if !ok {
		return fmt.Errorf("dtype %q is not supported", e.DType)
	}
	n := int64(1)
	for _, v := range e.Shape {
		if v < 1 || n > data/v/int64(d.Bytes(1)) {
			return fmt.Errorf("shape %v is out of range: the file has %d bytes of tensors", e.Shape, data)
		}
		n *= v
	}
	if e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] || e.Offsets[1] > data || e.Offsets[1]-e.Offsets[0] != int64(d.Bytes(int(n))) {
		return fmt.Errorf("bytes %v do not hold %s%v", e.Offsets, e.DType, e.Shape)
	}
	return nil
}

// Names returns the names of the tensors in the order of the file.
func (f *File) Names() []string {
	return slices.Clone(f.names)
}

// Metadata returns the texts of the file by name, nil when there are none.
func (f *File) Metadata() map[string]string {
	return f.metadata
}

// Tensor reads one tensor.
func (f *File) Tensor(name string) (array.Tensor, error) {
	e, ok := f.entries[name]
	if !ok {
		return array.Tensor{}, fmt.Errorf("safetensors: no tensor %q", name)
	}
	dims := make([]int, len(e.Shape))
	for i, v := range e.Shape {
		dims[i] = int(v)
	}
	t, err := array.New(dtypes[e.DType], dims...)
	if err != nil {
		return t, fmt.Errorf("safetensors: tensor %q: %w", name, err)
	}
	r := io.NewSectionReader(f.r, f.base+e.Offsets[0], int64(len(t.Data)))
	if n, err := io.ReadFull(r, t.Data); err != nil {
		return array.Tensor{}, fmt.Errorf("safetensors: tensor %q: want %d bytes, got %d: %w", name, len(t.Data), n, err)
	}
	return t, nil
}

// Tensors reads every tensor.
func (f *File) Tensors() (map[string]array.Tensor, error) {
	all := make(map[string]array.Tensor, len(f.names))
	for _, name := range f.names {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}
