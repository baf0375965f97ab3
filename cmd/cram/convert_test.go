package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/array"
)

// readAll returns the content of a file.
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

func TestConvert(t *testing.T) {
	file := twoLevels(t)
	dir := t.TempDir()
	one, half, back, dense := filepath.Join(dir, "one.cram"), filepath.Join(dir, "half.cram"), filepath.Join(dir, "back.cram"), filepath.Join(dir, "dense.cram")
	r := must(t, "convert", file, "--drop", "dense", "--encoding", "bitmask", "--out", one)
	if len(r) != 2 || r[0]["level"] != "topk:0.9" || r[0]["lossless"] != true {
		t.Errorf("convert printed %v", r)
	}
	before, after := tensors(t, file, "topk:0.9"), tensors(t, one, "")
	for name, v := range before {
		x, err := v.Decode()
		if err != nil {
			t.Fatal(err)
		}
		y, err := after[name].Decode()
		if err != nil || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%s differs after a lossless conversion: %v", name, err)
		}
	}
	if after["conv2.weight"].Encoding != array.Bitmask {
		t.Errorf("conv2.weight is stored %v", after["conv2.weight"].Encoding)
	}

	for _, d := range []string{"f16", "bf16"} {
		r = must(t, "convert", file, "--dtype", d, "--out", half)
		if len(r) != 3 || r[0]["lossless"] != false || r[0]["max_change"].(float64) > 0.01 {
			t.Errorf("convert to %s printed %v", d, r)
		}
		if must(t, "verify", half)[0]["intact"] != true {
			t.Errorf("the file in %s is damaged", d)
		}
		exact := must(t, "convert", half, "--dtype", "f32", "--out", back)
		again := must(t, "convert", back, "--dtype", d, "--out", dense)
		if exact[0]["lossless"] != true || again[0]["lossless"] != true || !bytes.Equal(read(t, half), read(t, dense)) {
			t.Errorf("%s to f32 and back: %v, %v", d, exact, again)
		}
		note := "half.cram: level dense: tensors stored in 16 bits are widened to f32 (4 " + d + ")"
		for _, args := range [][]string{
			{"eval", half, "--data", "shapes", "--limit", "10"},
			{"predict", half, "--level", "dense", shape(t, dir, 1), shape(t, dir, 1)},
			{"compress", half, "--with", "0.5", "--out", dense},
			{"train", "--init", half, "--model", "small-cnn", "--data", "shapes", "--limit", "10", "--epochs", "1", "--out", dense},
		} {
			if o := try(t.Context(), args...); o.code != 0 || strings.Count(o.stderr, note) != 1 {
				t.Errorf("%v: %+v, want %q once", args, o, note)
			}
			i := slices.Index(args, half)
			args[i] = file
			if o := try(t.Context(), args...); o.code != 0 || strings.Contains(o.stderr, "widened") {
				t.Errorf("%v: %+v, want no note about widening", args, o)
			}
		}
		full := must(t, "eval", file, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		small := must(t, "eval", half, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		widened := must(t, "eval", back, "--level", "topk:0.9", "--data", "shapes", "--limit", "200")[0]
		if small["loss"] != widened["loss"] || small["loss"] == full["loss"] {
			t.Errorf("loss of the file %v, in %s %v, widened again %v", full["loss"], d, small["loss"], widened["loss"])
		}
	}
	whole, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if small, err := os.Stat(half); err != nil || float64(small.Size()) > 0.75*float64(whole.Size()) {
		t.Errorf("in 16 bits the file has %d of %d bytes", small.Size(), whole.Size())
	}
	for _, args := range [][]string{{"--level", "topk:0.8"}, {"--drop", "dense,topk:0.9"}} {
		if o := try(t.Context(), append([]string{"convert", file, "--out", one}, args...)...); o.code != 1 {
			t.Errorf("%v: %+v", args, o)
		}
	}
}

// TestConvertNonFinite requires the rounding of a weight to be found beside NaN and infinities, and
// no change for those.
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
		for name, v := range f.Levels[0].Tensors { // only c.first can change
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
			most float64 // half the distance of neighbours of .2
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
			x, err := array.From(elements, len(elements))
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

// TestConvertTwice requires a usage error for a level that is named twice, before the file is read.
func TestConvertTwice(t *testing.T) {
	o := try(t.Context(), "convert", "no.cram", "--level", "dense", "--level", "dense", "--out", "x")
	noRepeats(t, o.stderr)
	if o.code != 2 || !strings.Contains(o.stderr, `--level: want each level once, got "dense" twice`) {
		t.Errorf("%+v", o)
	}
}
