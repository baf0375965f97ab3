package checkpoint

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// FuzzHeader holds that a header that is accepted is canonical, in both versions.
func FuzzHeader(f *testing.F) {
	for _, file := range []*File{small(f), full(f), {}, {Levels: small(f).Levels[3:]}} {
		p, err := newWriting(file)
		if err != nil {
			f.Fatal(err)
		}
		if _, _, err := decodeHeader(version, p.head.encode()); err != nil {
			f.Fatal(err)
		}
		f.Add(p.head.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, _, err := decodeHeader(version, b); err == nil && !bytes.Equal(h.encode(), b) {
			t.Fatalf("read %x, wrote %x", b, h.encode())
		}
		if h, _, err := decodeHeader(1, b); err == nil && !bytes.Equal(h.encodeV1(), b) {
			t.Fatalf("version 1: read %x, wrote %x", b, h.encodeV1())
		}
	})
}

// FuzzFile makes a file of an arbitrary header and arbitrary content, with right checksums. What a
// reader accepts can be written, and is the same when it is read again.
func FuzzFile(f *testing.F) {
	for _, file := range []*File{small(f), full(f)} {
		p, err := newWriting(file)
		if err != nil {
			f.Fatal(err)
		}
		var data []byte
		for _, s := range p.sources {
			index, values, err := s()
			if err != nil {
				f.Fatal(err)
			}
			data = append(append(data, index...), values...)
		}
		if b, ok := seal(p.head.encode(), data); !ok || readAll(b) != nil {
			f.Fatalf("the seed is refused: %v", readAll(b))
		}
		f.Add(p.head.encode(), data)
	}
	f.Fuzz(func(t *testing.T, head, data []byte) {
		b, ok := seal(head, data)
		if !ok {
			return
		}
		r, err := NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatalf("sealed file: %v", err)
		}
		elements := 0
		for _, l := range r.head.levels {
			for _, e := range l.entries {
				if elements += r.head.tensors[e.tensor].len(); elements > 1<<20 {
					return // legal, but too slow for fuzzing
				}
			}
		}
		file, err := r.File()
		if (err == nil) != (r.Verify() == nil) {
			t.Fatalf("File: %v, Verify: %v", err, r.Verify())
		}
		if err != nil {
			return
		}
		again, err := read(t, write(t, file)).File()
		if err != nil {
			t.Fatalf("written and read again: %v", err)
		}
		if what := difference(t, file, again); what != "" {
			t.Fatalf("written and read again: %s changed", what)
		}
	})
}

// difference returns what of a is not the same in b, "" for nothing. A value in b may lack the
// zeros that a stores.
func difference(t testing.TB, a, b *File) string {
	values := func(x, y map[string]array.Value) bool {
		return maps.EqualFunc(x, y, func(x, y array.Value) bool { return sameValue(t, x, y) })
	}
	programs := func(x, y map[string]*graph.Program) bool {
		return maps.EqualFunc(x, y, func(x, y *graph.Program) bool {
			p, err := x.Encode()
			q, err2 := y.Encode()
			return err == nil && err2 == nil && bytes.Equal(p, q)
		})
	}
	info, other := a.Info, b.Info
	info.Steps, other.Steps = nil, nil
	switch {
	case !reflect.DeepEqual(info, other):
		return "Info"
	case !slices.EqualFunc(a.Info.Steps, b.Info.Steps, func(x, y Step) bool {
		return x.Kind == y.Kind && x.Port == y.Port && maps.Equal(x.Settings, y.Settings) && values(x.Tensors, y.Tensors)
	}):
		return "Steps"
	case !programs(a.Programs, b.Programs):
		return "Programs"
	case !slices.EqualFunc(a.Levels, b.Levels, func(x, y Level) bool {
		return x.Name == y.Name && maps.Equal(x.Notes, y.Notes) && values(x.Tensors, y.Tensors) && programs(x.Programs, y.Programs) &&
			reflect.DeepEqual(x.Activations, y.Activations)
	}):
		return "Levels"
	case (a.State == nil) != (b.State == nil) || a.State != nil && !(maps.Equal(a.State.Ints, b.State.Ints) && values(a.State.Tensors, b.State.Tensors)):
		return "State"
	}
	return ""
}

func sameValue(t testing.TB, x, y array.Value) bool {
	if x.DType != y.DType || !slices.Equal(x.Dims, y.Dims) || encodingOf(x) != encodingOf(y) || !reflect.DeepEqual(x.Quantization, y.Quantization) {
		return false
	}
	if bytes.Equal(x.Index, y.Index) && bytes.Equal(x.Values, y.Values) {
		return true
	}
	return y.Stored() < x.Stored() && bytes.Equal(decoded(t, x).Data, decoded(t, y).Data)
}

func sameLevel(a, b Level) bool {
	return a.Name == b.Name && maps.Equal(a.Notes, b.Notes) && maps.EqualFunc(a.Tensors, b.Tensors, func(x, y array.Value) bool {
		return x.DType == y.DType && slices.Equal(x.Dims, y.Dims) && encodingOf(x) == encodingOf(y) && bytes.Equal(x.Index, y.Index) && bytes.Equal(x.Values, y.Values)
	})
}

// seal returns the file of a header of either version, if it is valid, with content cut from data
// (zeros after its end) and right checksums.
func seal(head, data []byte) ([]byte, bool) {
	fileVersion := byte(version)
	h, end, err := decodeHeader(version, head)
	if err != nil {
		fileVersion = 1
		h, end, err = decodeHeader(1, head)
	}
	if err != nil || end > 1<<20 {
		return nil, false
	}
	p := &writing{head: *h}
	var blobs []*blob
	p.head.blobs(func(b *blob) { blobs = append(blobs, b) })
	for _, b := range blobs {
		content := make([]byte, b.len())
		data = data[copy(content, data):]
		if len(*b) > 0 {
			(*b)[0].crc = checksum(content) // one chunk: it is far below chunkBytes
		}
		p.sources = append(p.sources, func() ([]byte, []byte, error) { return nil, content, nil })
	}
	head = p.head.encode()
	if fileVersion == 1 {
		head = p.head.encodeV1()
	}
	var out bytes.Buffer
	if err := p.write(&out, head); err != nil {
		return nil, false
	}
	b := out.Bytes()
	b[len(magic)] = fileVersion
	return b, true
}
