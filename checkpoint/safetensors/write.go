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

// Write writes tensors and metadata (nil: none). Sparse tensors become dense, and quantized ones
// F32; Write has one of them in memory at a time. Equal content gives equal bytes: tensors have the
// order of the format's own library, wide dtypes first, then by name, and spaces after the header
// align them to eight bytes. A tensor of bits is an error, because the format has none.
func Write(w io.Writer, tensors map[string]array.Value, metadata map[string]string) error {
	if w == nil {
		return errors.New("safetensors: want an io.Writer, got nil")
	}
	names := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		return cmp.Or(cmp.Compare(dtypeOf(tensors[b]).Bytes(1), dtypeOf(tensors[a]).Bytes(1)), cmp.Compare(a, b))
	})
	header, err := encodeHeader(names, tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for _, name := range names {
		v, err := tensors[name].Cast(dtypeOf(tensors[name]))
		if err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		t, err := v.Decode()
		if err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", name, err)
		}
	}
	return nil
}

// dtypeOf returns the dtype under which Write stores v.
func dtypeOf(v array.Value) array.DType {
	if v.Quantization != nil {
		return array.F32
	}
	return v.DType
}

// encodeHeader returns the length and the header of tensors in the given order.
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
		return nil, fmt.Errorf("safetensors: want a header of at most %d bytes, got %d", MaxHeader, n)
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
		return e, fmt.Errorf("safetensors: tensor %q: the format uses this name for its metadata", name)
	}
	for text, d := range dtypes {
		if d == dtypeOf(v) {
			e.DType = text
		}
	}
	if e.DType == "" {
		return e, fmt.Errorf("safetensors: tensor %q: the format has no type %v", name, v.DType)
	}
	for i, d := range v.Dims {
		e.Shape[i] = int64(d)
	}
	e.Offsets[1] += int64(dtypeOf(v).Bytes(v.Len()))
	return e, nil
}
