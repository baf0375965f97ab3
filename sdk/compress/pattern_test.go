package compress_test

import (
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// TestPattern holds that the results of NM promise their pattern, also through a selection, and
// that Check examines a promise.
func TestPattern(t *testing.T) {
	w := []compress.Weight{weight(t, "fc.weight", graph.Kernel, ramp(32), 4, 8)}
	want := compress.Pattern{N: 2, M: 4, Axis: 1}
	for _, c := range []compress.Compressor{compress.NM{N: 2, M: 4}, compress.Only(compress.NM{N: 2, M: 4}, "fc.*")} {
		out, err := c.Compress(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		if out[0].Pattern != want {
			t.Errorf("%v promises %v, want %v", c, out[0].Pattern, want)
		}
		if err := compress.Check(c, w, out); err != nil {
			t.Error(err)
		}
	}
	out, err := compress.TopK(.5).Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pattern compress.Pattern
		cause   string
	}{
		{want, "in the group"}, // the largest half of a ramp is whole groups
		{compress.Pattern{N: 2, M: 3, Axis: 1}, "does not fit"},
		{compress.Pattern{N: 2, M: 4, Axis: 2}, "does not fit"},
		{compress.Pattern{N: 5, M: 4, Axis: 1}, "does not fit"},
	} {
		out[0].Pattern = c.pattern
		if err := compress.Check(compress.TopK(.5), w, out); err == nil || !strings.Contains(err.Error(), c.cause) {
			t.Errorf("pattern %v: got %v, want an error with %q", c.pattern, err, c.cause)
		}
	}
	if err := compress.Check(compress.TopK(.5), w, []compress.Compressed{{Pattern: want}}); err == nil || !strings.Contains(err.Error(), "without a mask") {
		t.Errorf("got %v, want an error about the missing mask", err)
	}
}
