package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/compressaware/cram/sdk/array"
)

// Write writes tensors, encoded ones dense with their zeros, and metadata (nil: none), one tensor in memory at a time. Equal content
// gives equal bytes: tensors stand as the format's own library puts them, wide types first, then by name, and the header is padded
// with spaces so that they begin at a multiple of eight. Bits have no place in the format and are an error.
func Write(w io.Writer, tensors map[string]array.Value, metadata map[string]string) error {
	if w == nil {
		return errors.New("safetensors: the writer is nil")
	}
	names := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		return cmp.Or(cmp.Compare(tensors[b].DType.Bytes(1), tensors[a].DType.Bytes(1)), cmp.Compare(a, b))
	})
	header, err := encodeHeader(names, tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for _, name := range names {
		t, err := tensors[name].Decode()
		if err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
	}
	return nil
}

// encodeHeader returns the length and the header of tensors that follow in the given order.
func encodeHeader(names []string, tensors map[string]array.Value, metadata map[string]string) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	field := func(name string, content any) error {
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		text, err := json.Marshal(content)
		b.Write(key)
		b.WriteByte(':')
		b.Write(text)
		return err
	}
	if len(metadata) > 0 {
		if err := field("__metadata__", metadata); err != nil {
			return nil, fmt.Errorf("safetensors: metadata: %w", err)
		}
	}
	at := int64(0)
	for _, name := range names {
		e, err := newEntry(name, tensors[name], at)
		if err != nil {
			return nil, err
		}
		if err := field(name, e); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		at = e.Offsets[1]
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	n := b.Len() - 8
	if n > MaxHeader {
		return nil, fmt.Errorf("safetensors: the header has %d bytes, the format allows %d", n, MaxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(n))
	return b.Bytes(), nil
}

func newEntry(name string, v array.Value, at int64) (entry, error) {
	e := entry{Shape: make([]int64, len(v.Dims)), Offsets: [2]int64{at, at}}
	if err := v.Check(); err != nil {
		return e, fmt.Errorf("safetensors: tensor %q: %w", name, err)
	}
	if name == "__metadata__" {
		return e, fmt.Errorf("safetensors: a tensor cannot be called %q", name)
	}
	for text, d := range dtypes {
		if d == v.DType {
			e.DType = text
		}
	}
	if e.DType == "" {
		return e, fmt.Errorf("safetensors: tensor %q: the format has no type %v", name, v.DType)
	}
	for i, d := range v.Dims {
		e.Shape[i] = int64(d)
	}
	e.Offsets[1] += int64(v.DType.Bytes(v.Len()))
	return e, nil
}
