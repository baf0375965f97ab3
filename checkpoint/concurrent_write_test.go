package checkpoint

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// A meddler is a writer that calls meddle after it has taken the bytes of the n-th write, counted
// from 1.
type meddler struct {
	bytes.Buffer
	n, calls int
	meddle   func()
}

func (m *meddler) Write(b []byte) (int, error) {
	m.Buffer.Write(b)
	if m.calls++; m.calls == m.n {
		m.meddle()
	}
	return len(b), nil
}

// TestATensorThatChanges changes one element during one write, for each write and for elements all
// over the tensors. The result is an error or a file with the old elements.
func TestATensorThatChanges(t *testing.T) {
	const size = 3*pieceBytes/4 + 12345
	f := &File{Levels: []Level{{Name: "dense", Tensors: map[string]array.Value{}}}}
	for _, name := range []string{"a", "b"} {
		f.Levels[0].Tensors[name] = array.DenseValue(random(t, uint32(name[0]), size))
	}
	before := write(t, f)
	whole, refused := 0, 0
	for n := 1; ; n++ {
		m := meddler{n: n}
		for _, name := range []string{"a", "b"} {
			values := f.Levels[0].Tensors[name].Values
			for at := 0; at < len(values); at += len(values) / 7 {
				m = meddler{n: n, meddle: func() { values[at] ^= 1 }}
				err := Write(&m, f)
				switch {
				case err == nil && bytes.Equal(m.Bytes(), before):
					whole++
				case errors.Is(err, errChanged):
					refused++
				default:
					t.Fatalf("byte %d of tensor %s changed during write %d: the error is %v, and the file is another", at, name, n, err)
				}
				if m.calls >= n {
					values[at] ^= 1
				}
			}
		}
		if m.calls < n {
			break
		}
	}
	if whole == 0 || refused == 0 {
		t.Errorf("%d files are whole and %d refused, want some of both", whole, refused)
	}
}

// TestATensorThatGrows sets elements of the lower of two equal levels to zero during the writing:
// the rest of the upper level, which was empty in the header, then is not.
func TestATensorThatGrows(t *testing.T) {
	x := random(t, 1, 1<<16)
	lower, err := x.Clone().Encode(array.Bitmask)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{Levels: []Level{
		{Name: "lower", Tensors: map[string]array.Value{"w": lower}},
		{Name: "upper", Tensors: map[string]array.Value{"w": array.DenseValue(x)}}}}
	before := slices.Clone(lower.Values)
	m := meddler{n: 1, meddle: func() { clear(lower.Values[:4]) }}
	if err := Write(&m, f); !errors.Is(err, errChanged) {
		t.Errorf("the error is %v, want %v", err, errChanged)
	}
	if bytes.Equal(before, lower.Values) {
		t.Error("nothing changed")
	}
}

func TestEach(t *testing.T) {
	wrong := []error{errors.New("3"), errors.New("7")}
	seen := make([]bool, 100)
	err := each(len(seen), func(i int) error {
		seen[i] = true
		switch i {
		case 3:
			return wrong[0]
		case 7:
			return wrong[1]
		}
		return nil
	})
	if err != wrong[0] || slices.Contains(seen, false) {
		t.Errorf("got %v after %v", err, seen)
	}
}
