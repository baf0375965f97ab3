package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// random returns a tensor of elements in (-1, 1), none of them zero. They are the same with every
// release of Go.
func random(t testing.TB, seed uint32, dims ...int) array.Tensor {
	t.Helper()
	x, err := array.New(array.F32, dims...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.F32() {
		seed = seed*1664525 + 1013904223
		x.F32()[i] = (float32(seed>>9) + 0.5 - 1<<22) / (1 << 22)
	}
	return x
}

// topK returns x with the given fraction of its elements, those of the smallest |x|, set to zero.
func topK(t testing.TB, x array.Tensor, sparsity float64) array.Value {
	t.Helper()
	y := x.Clone()
	data := y.F32()
	sizes := make([]float32, len(data))
	for i, e := range data {
		sizes[i] = max(e, -e)
	}
	slices.Sort(sizes)
	left := int(sparsity * float64(len(data)))
	threshold := sizes[min(left, len(sizes)-1)]
	below, _ := slices.BinarySearch(sizes, threshold)
	ties := left - below
	for i, e := range data {
		switch size := max(e, -e); {
		case size < threshold:
			data[i] = 0
		case size == threshold && ties > 0:
			data[i] = 0
			ties--
		}
	}
	v, err := y.Smallest()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// twoOfFour returns x with all but two of each four along axis 1 set to zero.
func twoOfFour(t testing.TB, x array.Tensor) array.Value {
	t.Helper()
	y := x.Clone()
	inner := array.Count(x.Dims[2:])
	for i := range y.F32() {
		if i/inner%4 >= 2 {
			y.F32()[i] = 0
		}
	}
	v, err := y.EncodeNM(2, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func tinyProgram(t testing.TB) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Batch(8))
	w := b.Slot(graph.Slot{Name: "fc.weight", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(4, 8)}})
	b.Output("logits", b.MatMul(x, w, false, true))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func meta() Info {
	return Info{
		Model: "tiny", Recipe: "cram+ rho=0.2", Data: "shapes", Seed: 10,
		Versions: map[string]string{"cram": "v0.1.0", "go": "go1.25"},
		Inputs:   []Port{{Name: "x", DType: array.F32, Shape: graph.Batch(8), Mean: []float32{0.5}, Std: []float32{0.25}}},
		Outputs:  []Port{{Name: "logits", DType: array.F32, Shape: graph.Batch(4), Classes: []string{"cat", "dog", "été", "木"}}},
		Extra:    map[string]string{"note": "two\nlines"},
	}
}

// elastic returns a file with nested levels, a dense and an N:M level, statistics of each, and a
// training state.
func elastic(t testing.TB) *File {
	t.Helper()
	w, fc := random(t, 1, 16, 8, 3, 3), random(t, 2, 4, 8)
	bias := array.DenseValue(random(t, 3, 4))
	level := func(seed uint32, name string, cw, cfc array.Value) Level {
		return Level{Name: name, Tensors: map[string]array.Value{
			"conv.weight": cw, "fc.weight": cfc, "fc.bias": bias, "bn.mean": array.DenseValue(random(t, seed, 16)),
		}}
	}
	mask, err := array.New(array.Bit, 16, 8, 3, 3)
	if err != nil {
		t.Fatal(err)
	}
	mask.SetBit(77)
	levels := []Level{
		level(10, "dense", array.DenseValue(w), array.DenseValue(fc)),
		level(11, "topk:0.5", topK(t, w, .5), topK(t, fc, .5)),
		level(12, "topk:0.97", topK(t, w, .97), topK(t, fc, .9)),
		level(13, "nm:2:4", twoOfFour(t, w), twoOfFour(t, fc)),
	}
	levels[3].Notes = map[string]string{"conv1.weight": "input channels 3 are not a multiple of 4"}
	return &File{
		Info: meta(), Programs: map[string]*graph.Program{"infer": tinyProgram(t), "tune": tinyProgram(t)}, Levels: levels,
		State: &State{Ints: map[string]int64{"step": 1 << 40, "epoch": -1}, Tensors: map[string]array.Value{
			"conv.weight.momentum": array.DenseValue(random(t, 20, 16, 8, 3, 3)), "mask": array.DenseValue(mask)}},
	}
}

func write(t testing.TB, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t testing.TB, b []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var equal = gocmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateNaNs()}

func TestRoundTrip(t *testing.T) {
	want := elastic(t)
	one := &File{Levels: []Level{want.Levels[2]}}
	for name, f := range map[string]*File{"elastic": want, "one level": one, "empty": {}, "state only": {State: want.State}, "nm alone": {Levels: want.Levels[3:]}} {
		b := write(t, f)
		r := read(t, b)
		got, err := r.File()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := gocmp.Diff(f, got, equal); d != "" {
			t.Errorf("%s changed (-want +got):\n%s", name, d)
		}
		if err := r.Verify(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if r.HasState() != (f.State != nil) {
			t.Errorf("%s: HasState is %v", name, r.HasState())
		}
		if again := write(t, got); !bytes.Equal(b, again) {
			t.Errorf("%s: writing what was read gives other bytes", name)
		}
	}
}

// TestStoredZeros holds that a tensor that is one part keeps the zeros that it stores, and that a
// tensor in a stack has the same elements without them.
func TestStoredZeros(t *testing.T) {
	w := random(t, 1, 64)
	few := topK(t, w, .9)
	clear(few.Values[:4])
	level := func(name string, v array.Value) Level {
		return Level{Name: name, Tensors: map[string]array.Value{"w": v}}
	}
	alone, err := read(t, write(t, &File{Levels: []Level{level("few", few)}})).Level("few")
	if err != nil || !bytes.Equal(alone.Tensors["w"].Values, few.Values) {
		t.Errorf("alone: %v, %v", alone, err)
	}
	r := read(t, write(t, &File{Levels: []Level{level("few", few), level("half", topK(t, w, .5)), level("dense", array.DenseValue(w))}}))
	for i, want := range []array.Value{few, topK(t, w, .5), array.DenseValue(w)} {
		l, err := r.Level(r.Levels()[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Tensors["w"]; got.Encoding != want.Encoding || !bytes.Equal(decoded(t, got).Data, decoded(t, want).Data) {
			t.Errorf("%s changed", l.Name)
		}
	}
	l, err := r.Level("few")
	if err != nil || l.Tensors["w"].Stored() != few.Stored()-1 {
		t.Errorf("few stores %d elements, %v", l.Tensors["w"].Stored(), err)
	}
}

// TestLevelsOfOtherTypes holds that a tensor may have another dtype and other dimensions at
// another level.
func TestLevelsOfOtherTypes(t *testing.T) {
	whole := array.DenseValue(random(t, 1, 4, 4))
	i8 := array.Value{DType: array.I8, Dims: []int{4, 4}, Values: make([]byte, 16)}
	wide := array.DenseValue(random(t, 1, 8, 4))
	f := &File{}
	for name, v := range map[string]array.Value{"f32": whole, "i8": i8, "wide": wide} {
		f.Levels = append(f.Levels, Level{Name: name, Tensors: map[string]array.Value{"w": v, "same": whole}})
	}
	got, err := read(t, write(t, f)).File()
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(f, got, equal); d != "" {
		t.Error(d)
	}
}

func TestChoosingALevel(t *testing.T) {
	f := elastic(t)
	r := read(t, write(t, f))
	var no *LevelError
	if info, err := r.LevelInfo("nm:2:4"); err != nil || !maps.Equal(info.Notes, f.Levels[3].Notes) {
		t.Errorf("info %v, %v", info, err)
	}
	if _, err := r.LevelInfo(""); !errors.As(err, &no) {
		t.Errorf("info of no level: %v", err)
	}
	if _, err := r.Level(""); !errors.As(err, &no) || !strings.Contains(err.Error(), "topk:0.5, topk:0.97") {
		t.Errorf("no name: %v", err)
	}
	if _, err := r.Level("topk:0.7"); !errors.As(err, &no) || no.Want != "topk:0.7" {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := r.Program("train"); err == nil || !strings.Contains(err.Error(), `"infer" "tune"`) {
		t.Errorf("unknown program: %v", err)
	}
	single := read(t, write(t, &File{Levels: f.Levels[1:2]}))
	if l, err := single.Level(""); err != nil || l.Name != "topk:0.5" {
		t.Errorf("the only level: %v, %v", l, err)
	}
	if _, err := read(t, write(t, &File{})).Level(""); err == nil || !strings.Contains(err.Error(), "no levels") {
		t.Errorf("no levels: %v", err)
	}
}

// TestEachValueIsStoredOnce holds the size of a file with nested levels: the dense values once, a
// bitmask for the level below, and 16-bit indices for the sparsest.
func TestEachValueIsStoredOnce(t *testing.T) {
	const n = 1 << 16
	w := random(t, 1, n)
	size := func(levels ...Level) int { return len(write(t, &File{Levels: levels})) }
	level := func(name string, v array.Value) Level {
		return Level{Name: name, Tensors: map[string]array.Value{"w": v}}
	}
	dense, half, few := level("dense", array.DenseValue(w)), level("topk:0.5", topK(t, w, .5)), level("topk:0.97", topK(t, w, .97))
	got := size(dense, half, few)
	kept := len(few.Tensors["w"].Values) / 4
	want := 4*n + n/8 + 4 + kept*2
	if got < want || got > want+1024 {
		t.Errorf("elastic file has %d bytes, want %d and less than 1 KiB of header", got, want)
	}
	same := half
	same.Name = "again"
	if a, b := size(half), size(half, same); b > a+128 {
		t.Errorf("an equal level takes %d bytes", b-a)
	}
}

func TestSaveAndOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.cram")
	f := elastic(t)
	for range 2 { // new, then replaced
		if err := Save(path, f); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := Save(filepath.Join(path, "x"), f); err == nil {
		t.Error("saved below a file")
	}
}

func TestReaderIsConcurrent(t *testing.T) {
	f := elastic(t)
	r := read(t, write(t, f))
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			l, err := r.Level(f.Levels[g%4].Name)
			if err != nil {
				t.Error(err)
				return
			}
			if d := gocmp.Diff(f.Levels[g%4], *l, equal); d != "" {
				t.Error(d)
			}
		})
	}
	wg.Wait()
}

func TestTensors(t *testing.T) {
	r := read(t, write(t, elastic(t)))
	info, err := r.LevelInfo("topk:0.97")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range info.Tensors {
		got = append(got, fmt.Sprintf("%s %v%v %s %.4f %d", x.Name, x.DType, x.Dims, x.Encoding, x.Sparsity, x.Bytes))
	}
	want := []string{
		"bn.mean f32[16] dense 0.0000 64",
		"conv.weight f32[16 8 3 3] index16 0.9696 214",
		"fc.bias f32[4] dense 0.0000 16",
		"fc.weight f32[4 8] bitmask 0.8750 20",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
