package checkpoint

import (
	"bytes"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// TestStoredZerosOverOthers writes levels that store zeros where another level of the same tensor
// has an element, as a group of 2:4 with fewer than two elements does. The level must have zeros
// there when it is read.
func TestStoredZerosOverOthers(t *testing.T) {
	w := random(t, 1, 2, 8, 3)
	thin := decoded(t, topK(t, w, .9)) // most groups of four have less than two elements left
	groups, err := thin.EncodeNM(2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	// a bitmask, of whose elements every other becomes a zero that is stored
	padded := topK(t, w, .5)
	padded.Values = bytes.Clone(padded.Values)
	for i := 0; i < len(padded.Values); i += 8 {
		clear(padded.Values[i : i+4])
	}
	for name, v := range map[string]array.Value{"2:4": groups, "bitmask": padded} {
		f := &File{}
		for level, v := range map[string]array.Value{"dense": array.DenseValue(w), "sparse": v, "other": twoOfFour(t, w), "stack": topK(t, w, .7)} {
			f.Levels = append(f.Levels, Level{Name: level, Tensors: map[string]array.Value{"w": v}})
		}
		r := read(t, write(t, f))
		for _, l := range f.Levels {
			got, err := r.Level(l.Name)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(decoded(t, got.Tensors["w"]).Data, decoded(t, l.Tensors["w"]).Data) {
				t.Errorf("%s: level %s is read as other values than were written", name, l.Name)
			}
		}
	}
}
