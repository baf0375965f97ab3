package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
)

// readAll reads everything in a file.
func readAll(t *testing.T, file string) *checkpoint.File {
	t.Helper()
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestConvertNonFinite: a weight that is no number hides no rounding of another, and is itself no change.
func TestConvertNonFinite(t *testing.T) {
	f := readAll(t, twoLevels(t))
	dir := t.TempDir()
	file, out := filepath.Join(dir, "in.cram"), filepath.Join(dir, "out.cram")
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		first    []float32
		lossless bool
	}{
		{[]float32{nan, .1, .2}, false},
		{[]float32{inf, .1}, false},
		{[]float32{.1, -inf, nan}, false},
		{[]float32{nan, inf, -inf, .5}, true},
	} {
		for name, v := range f.Levels[0].Tensors { // nothing but c.first can change
			x, err := array.New(array.F32, v.Dims...)
			if v.DType != array.F32 || err != nil {
				continue
			}
			if name == "conv2.weight" {
				copy(x.F32(), c.first)
			}
			f.Levels[0].Tensors[name] = array.DenseValue(x)
		}
		f.Levels = f.Levels[:1]
		if err := checkpoint.Save(file, f); err != nil {
			t.Fatal(err)
		}
		for _, d := range []struct {
			name string
			most float64 // half a step between neighbours of .2
		}{{"f16", 0x1p-14}, {"bf16", 0x1p-11}} {
			args := []string{"convert", file, "--dtype", d.name, "--out", out}
			r := must(t, args...)[0]
			most, changed := r["max_change"].(float64)
			if r["lossless"] != c.lossless || changed == c.lossless || changed && (most <= 0 || most > d.most || r["tensor"] != "conv2.weight") {
				t.Errorf("%v to %s: %v", c.first, d.name, r)
			}
			want := "dense: rounded, by at most "
			if c.lossless {
				want = "dense: lossless"
			}
			if o := try(t.Context(), args...); o.code != 0 || !strings.HasPrefix(o.stdout, want) {
				t.Errorf("%v to %s: %+v, want %q", c.first, d.name, o, want)
			}
		}
	}
}

func TestDifference(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		x, y    []float32
		most    float64
		changed bool
	}{
		{[]float32{nan, .5, 1}, []float32{nan, .5, 1.5}, .5, true},
		{[]float32{inf, -inf, nan, 2}, []float32{inf, -inf, nan, 2}, 0, false},
		{[]float32{1, 2}, []float32{1, inf}, math.Inf(1), true},
		{[]float32{inf, 2}, []float32{-inf, 3}, math.Inf(1), true},
		{[]float32{nan, 2}, []float32{1, 3}, math.Inf(1), true},
		{[]float32{0}, []float32{float32(math.Copysign(0, -1))}, 0, true},
	} {
		var v [2]array.Value
		for k, elements := range [][]float32{c.x, c.y} {
			x, err := array.FromF32(elements, len(elements))
			if err != nil {
				t.Fatal(err)
			}
			v[k] = array.DenseValue(x)
		}
		half, err := v[1].Cast(array.BF16)
		if err != nil {
			t.Fatal(err)
		}
		if most, changed, err := difference(v[0], half); most != c.most || changed != c.changed || err != nil {
			t.Errorf("%v and %v: %v, %v, %v; want %v, %v", c.x, c.y, most, changed, err, c.most, c.changed)
		}
	}
}

// TestConvertTwice: a file has a level once, and the error says so before the file is read.
func TestConvertTwice(t *testing.T) {
	o := try(t.Context(), "convert", "no.cram", "--level", "dense", "--level", "dense", "--out", "x")
	stutters(t, o.stderr)
	if o.code != 2 || !strings.Contains(o.stderr, `--level names "dense" twice`) {
		t.Errorf("%+v", o)
	}
}
