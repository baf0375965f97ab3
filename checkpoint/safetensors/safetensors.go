// Package safetensors reads and writes Hugging Face's safetensors files: eight bytes of little-endian header length, a JSON header that
// maps each tensor's name to its dtype, shape and byte range, and the tensors themselves.
//
// The reader trusts nothing: the header is bounded and has no key twice, and names, types, shapes and ranges are checked before a tensor's
// bytes are touched; ranges must lie inside the file, fit their shape, and neither overlap nor leave holes.
//
// Weighed instead and not taken: github.com/nlpodyssey/safetensors, as careful, but it wants the whole file in one []byte, where a reader
// here takes one tensor at a time from an io.ReaderAt, and has no released version.
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

// MaxHeader is the largest header accepted, in bytes, the limit of the format's own implementation.
const MaxHeader = 100_000_000

// A File is an open safetensors file. Its methods are safe for concurrent use. The zero File, and nil, hold no tensors.
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

// Open opens the file at path, which must be a regular file. Close it when done.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() { // a pipe would keep us waiting
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

// New reads the header of a file of the given size.
func New(r io.ReaderAt, size int64) (*File, error) {
	if r == nil {
		return nil, errors.New("safetensors: the reader is nil")
	}
	var prefix [8]byte
	if err := fill(r, prefix[:], 0); err != nil {
		return nil, fmt.Errorf("safetensors: header length: %w", err)
	}
	if bytes.HasPrefix(prefix[:], []byte(checkpoint)) {
		return nil, errors.New("safetensors: this is a cram checkpoint, not a safetensors file; it needs no import")
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > MaxHeader || int64(n) > size-8 {
		return nil, fmt.Errorf("safetensors: header length is %d, file has %d bytes", n, size)
	}
	header := make([]byte, n)
	if err := fill(r, header, 8); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	f := &File{r: r, base: 8 + int64(n), entries: map[string]entry{}}
	if err := f.parse(header, size-8-int64(n)); err != nil {
		return nil, fmt.Errorf("safetensors: header: %w", err)
	}
	return f, nil
}

// checkpoint is how a checkpoint of cram begins.
const checkpoint = "\xa4cram"

// fill reads all of b. With the last bytes of a file, an io.ReaderAt may return io.EOF or nothing.
func fill(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("read %d bytes at byte %d: got %d: %w", len(b), at, n, err)
}

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
			return fmt.Errorf("tensor %q begins at byte %d, want %d: ranges overlap or leave a hole", name, e.Offsets[0], at)
		}
		at = e.Offsets[1]
	}
	if at != data {
		return fmt.Errorf("tensors end at byte %d of %d", at, data)
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

var errEmpty = errors.New("safetensors: the File is empty; make one with Open or New")

// Names returns the names of the tensors in the order of the file.
func (f *File) Names() []string {
	if f == nil {
		return nil
	}
	return slices.Clone(f.names)
}

// Metadata returns the free text that the file carries, nil when there is none.
func (f *File) Metadata() map[string]string {
	if f == nil {
		return nil
	}
	return f.metadata
}

// Tensor reads one tensor.
func (f *File) Tensor(name string) (array.Tensor, error) {
	if f == nil || f.r == nil {
		return array.Tensor{}, errEmpty
	}
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
	if err := fill(f.r, t.Data, f.base+e.Offsets[0]); err != nil {
		return array.Tensor{}, fmt.Errorf("safetensors: tensor %q: %w", name, err)
	}
	return t, nil
}

// Tensors reads every tensor.
func (f *File) Tensors() (map[string]array.Tensor, error) {
	if f == nil || f.r == nil {
		return nil, errEmpty
	}
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
	if f == nil || f.closer == nil {
		return nil
	}
	return f.closer.Close()
}
