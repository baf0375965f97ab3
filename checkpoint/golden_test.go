package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

var (
	update    = flag.Bool("update", false, "write testdata/v1.cram anew; only right when the format has not been released")
	goldenDir = flag.String("golden", "", "write the files of TestGoldenKinds, and what they hold, to this folder instead of reading testdata/golden")
)

// TestGolden holds that a file of this version loads for ever, and that it is still what is written.
func TestGolden(t *testing.T) {
	const path = "testdata/v1.cram"
	if *update {
		if err := Save(path, elastic(t)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, b).File()
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(elastic(t), got, equal); d != "" {
		t.Errorf("content changed (-want +got):\n%s", d)
	}
	if !bytes.Equal(write(t, elastic(t)), b) {
		t.Error("the same content is written as other bytes")
	}
}

// kinds returns a file of each kind, among them all encodings, types and orders of parts.
func kinds(t testing.TB) map[string]*File {
	t.Helper()
	w := random(t, 1, 4, 8, 3)
	as := func(e array.Encoding, x array.Tensor) array.Value {
		v, err := x.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	one := func(v array.Value) *File {
		return &File{Levels: []Level{{Name: "only", Tensors: map[string]array.Value{"w": v}}}}
	}
	long := decoded(t, topK(t, random(t, 2, 3, 50000), .999)) // three runs of index16, the last shorter
	half, few := topK(t, w, .5), topK(t, w, .9)
	nested := &File{Info: meta(), Programs: map[string]*graph.Program{"infer": tinyProgram(t)}, Levels: []Level{
		{Name: "dense", Tensors: map[string]array.Value{"w": array.DenseValue(w)}},
		{Name: "topk:0.5", Tensors: map[string]array.Value{"w": half}},
		{Name: "topk:0.9", Tensors: map[string]array.Value{"w": few}},
		{Name: "nm:2:4", Tensors: map[string]array.Value{"w": twoOfFour(t, w)}},
	}}
	typed := map[string]array.Value{}
	for _, d := range []array.DType{array.F32, array.F64, array.F16, array.BF16, array.I8, array.I32, array.I64, array.Bit} {
		x, err := array.New(d, 3, 5)
		if err != nil {
			t.Fatal(err)
		}
		for i := range x.Data {
			x.Data[i] = byte(7*i + 1)
		}
		if d == array.Bit {
			x.Data[1] &= 1<<7 - 1
			typed["bit"] = array.DenseValue(x)
			continue
		}
		typed[d.String()+".dense"] = array.DenseValue(x)
		sparse := x.Clone()
		clear(sparse.Data[:d.Bytes(1)])
		clear(sparse.Data[d.Bytes(7):d.Bytes(9)])
		typed[d.String()+".bitmask"], typed[d.String()+".index16"] = as(array.Bitmask, sparse), as(array.Index16, sparse)
	}
	scalar, err := array.New(array.F32)
	if err != nil {
		t.Fatal(err)
	}
	oddGroups, err := decoded(t, few).EncodeNM(7, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*File{
		"empty": {}, "dense": one(array.DenseValue(w)), "scalar": one(array.DenseValue(scalar)), "bitmask": one(as(array.Bitmask, decoded(t, half))),
		"index16": one(as(array.Index16, long)), "nm": one(twoOfFour(t, w)), "nm-7-of-8": one(oddGroups), "elastic": nested,
		"types":    {Levels: []Level{{Name: "only", Tensors: typed}}},
		"training": {State: &State{Ints: map[string]int64{"step": 1 << 40, "epoch": -1}, Tensors: typed}},
	}
}

// holds describes the content of a file as the .json beside it does, for readers in other languages, too.
type holds struct {
	Meta     holdsMeta                    `json:"meta"`
	Programs map[string]string            `json:"programs"` // SHA-256 of their bytes
	Levels   map[string]map[string]holder `json:"levels"`
	State    *holdsState                  `json:"state"`
}

type holdsMeta struct {
	Model    string            `json:"model"`
	Recipe   string            `json:"recipe"`
	Data     string            `json:"data"`
	Seed     uint64            `json:"seed"`
	Versions map[string]string `json:"versions"`
	Input    holdsInput        `json:"input"`
	Extra    map[string]string `json:"extra"`
}

type holdsInput struct {
	Shape   []int     `json:"shape"`
	Mean    []float64 `json:"mean"`
	Std     []float64 `json:"std"`
	Classes []string  `json:"classes"`
}

type holdsState struct {
	Ints    map[string]int64  `json:"ints"`
	Tensors map[string]holder `json:"tensors"`
}

// A holder describes a tensor.
type holder struct {
	Dims   []int  `json:"dims"`
	Form   string `json:"form"`
	Stored int    `json:"stored"` // elements
	SHA256 string `json:"sha256"` // of its elements, dense
}

func describe(t testing.TB, f *File) holds {
	t.Helper()
	sum := func(b []byte) string {
		s := sha256.Sum256(b)
		return hex.EncodeToString(s[:])
	}
	tensors := func(values map[string]array.Value) map[string]holder {
		out := map[string]holder{}
		for name, v := range values {
			out[name] = holder{append([]int{}, v.Dims...), formOf(v).String(), v.Stored(), sum(decoded(t, v).Data)}
		}
		return out
	}
	h := holds{Meta: describeMeta(f.Info), Programs: map[string]string{}, Levels: map[string]map[string]holder{}}
	for name, p := range f.Programs {
		code, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		h.Programs[name] = sum(code)
	}
	for _, l := range f.Levels {
		h.Levels[l.Name] = tensors(l.Tensors)
	}
	if f.State != nil {
		h.State = &holdsState{f.State.Ints, tensors(f.State.Tensors)}
	}
	return h
}

// describeMeta writes what is empty as such, since a file does not tell it from nil, and numbers in full.
func describeMeta(m Info) holdsMeta {
	texts := func(m map[string]string) map[string]string {
		out := map[string]string{}
		maps.Copy(out, m)
		return out
	}
	numbers := func(xs []float32) []float64 {
		out := []float64{}
		for _, x := range xs {
			out = append(out, float64(x))
		}
		return out
	}
	in := holdsInput{append([]int{}, m.Input().Example()...), numbers(m.Input().Mean), numbers(m.Input().Std), append([]string{}, m.Output().Classes...)}
	return holdsMeta{m.Model, m.Recipe, m.Data, m.Seed, texts(m.Versions), in, texts(m.Extra)}
}

// TestGoldenKinds holds that committed files of every kind load for ever, with the content that stands beside them.
func TestGoldenKinds(t *testing.T) {
	if *goldenDir != "" {
		writeGolden(t, *goldenDir)
		return
	}
	files, err := filepath.Glob("testdata/golden/*.cram")
	if err != nil || len(files) < len(kinds(t)) {
		t.Fatalf("%d golden files, want %d at least: %v", len(files), len(kinds(t)), err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := read(t, b).File()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		text, err := os.ReadFile(path[:len(path)-len("cram")] + "json")
		if err != nil {
			t.Fatal(err)
		}
		var want holds
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if d := gocmp.Diff(want, describe(t, f)); d != "" {
			t.Errorf("%s changed (-want +got):\n%s", path, d)
		}
	}
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	all := kinds(t)
	all["v1"] = elastic(t) // which is TestGolden's file
	for name, f := range all {
		if err := Save(filepath.Join(dir, name+".cram"), f); err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(describe(t, f), "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
