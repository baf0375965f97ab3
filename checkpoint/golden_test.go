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
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

var goldenDir = flag.String("golden", "", "write the files of TestGolden, with their content as JSON, to this directory and read none")

// TestVersion1 holds that the first file of version 1 loads, with the content that was written.
func TestVersion1(t *testing.T) {
	b, err := os.ReadFile("testdata/v1.cram")
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
	// three runs of index16, the last shorter
	long := decoded(t, topK(t, random(t, 2, 3, 50000), .999))
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
	scalar.F32()[0] = 1.5
	oddGroups, err := decoded(t, few).EncodeNM(7, 8, 1)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*File{
		"empty": {}, "dense": one(array.DenseValue(w)), "scalar": one(array.DenseValue(scalar)), "bitmask": one(as(array.Bitmask, decoded(t, half))),
		"index16": one(as(array.Index16, long)), "nm": one(twoOfFour(t, w)), "nm-7-of-8": one(oddGroups), "elastic": nested, "full": full(t),
		"types":    {Levels: []Level{{Name: "only", Tensors: typed}}},
		"training": {State: &State{Ints: map[string]int64{"step": 1 << 40, "epoch": -1}, Tensors: typed}},
	}
}

// holds is the content of a file, as the .json of a golden file has it for readers in all
// languages.
type holds struct {
	Meta     holdsMeta             `json:"meta"`
	Inputs   []holdsPort           `json:"inputs"`
	Outputs  []holdsPort           `json:"outputs"`
	Steps    []holdsStep           `json:"steps"`
	Programs map[string]string     `json:"programs"` // SHA-256 of their bytes
	Levels   map[string]holdsLevel `json:"levels"`
	State    *holdsState           `json:"state"`
}

type holdsMeta struct {
	Model    string            `json:"model"`
	Recipe   string            `json:"recipe"`
	Data     string            `json:"data"`
	Seed     uint64            `json:"seed"`
	Versions map[string]string `json:"versions"`
	Input    *holdsInput       `json:"input,omitempty"` // version 1
	Extra    map[string]string `json:"extra"`
}

type holdsInput struct {
	Shape   []int     `json:"shape"`
	Mean    []float64 `json:"mean"`
	Std     []float64 `json:"std"`
	Classes []string  `json:"classes"`
}

type holdsPort struct {
	Name    string    `json:"name"`
	DType   string    `json:"dtype"`
	Shape   string    `json:"shape"`
	Mean    []float64 `json:"mean"`
	Std     []float64 `json:"std"`
	Classes []string  `json:"classes"`
}

type holdsStep struct {
	Kind     string                 `json:"kind"`
	Port     string                 `json:"port"`
	Settings map[string]string      `json:"settings"`
	Tensors  map[string]holdsTensor `json:"tensors"`
}

type holdsLevel struct {
	Notes       map[string]string            `json:"notes"`
	Programs    map[string]string            `json:"programs"`
	Activations map[string]holdsQuantization `json:"activations"`
	Tensors     map[string]holdsTensor       `json:"tensors"`
}

type holdsState struct {
	Ints    map[string]int64       `json:"ints"`
	Tensors map[string]holdsTensor `json:"tensors"`
}

type holdsTensor struct {
	Dims         []int              `json:"dims"`
	Encoding     string             `json:"form"`
	Stored       int                `json:"stored"` // elements
	SHA256       string             `json:"sha256"` // of its elements, dense
	Quantization *holdsQuantization `json:"quantization,omitempty"`
}

type holdsQuantization struct {
	Axis  int       `json:"axis"`
	Scale []float64 `json:"scale"`
	Zero  []int32   `json:"zero"`
}

// holdsV1 is holds for files of version 1.
type holdsV1 struct {
	Meta     holdsMeta                         `json:"meta"`
	Programs map[string]string                 `json:"programs"`
	Levels   map[string]map[string]holdsTensor `json:"levels"`
	State    *holdsState                       `json:"state"`
}

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func describe(t testing.TB, f *File) holds {
	t.Helper()
	m := f.Info
	h := holds{
		Meta:   holdsMeta{m.Model, m.Recipe, m.Data, m.Seed, present(m.Versions), nil, present(m.Extra)},
		Inputs: describePorts(m.Inputs), Outputs: describePorts(m.Outputs), Steps: []holdsStep{},
		Programs: describePrograms(t, f.Programs), Levels: map[string]holdsLevel{},
	}
	for _, s := range m.Steps {
		h.Steps = append(h.Steps, holdsStep{s.Kind, s.Port, present(s.Settings), describeTensors(t, s.Tensors)})
	}
	for _, l := range f.Levels {
		activations := map[string]holdsQuantization{}
		for name, q := range l.Activations {
			activations[name] = describeQuantization(q)
		}
		h.Levels[l.Name] = holdsLevel{present(l.Notes), describePrograms(t, l.Programs), activations, describeTensors(t, l.Tensors)}
	}
	if f.State != nil {
		h.State = &holdsState{f.State.Ints, describeTensors(t, f.State.Tensors)}
	}
	return h
}

func describeV1(t testing.TB, f *File) holdsV1 {
	h := describe(t, f)
	in := holdsInput{append([]int{}, f.Info.Input().Example()...), numbers(f.Info.Input().Mean), numbers(f.Info.Input().Std), append([]string{}, f.Info.Output().Classes...)}
	h.Meta.Input = &in
	levels := map[string]map[string]holdsTensor{}
	for name, l := range h.Levels {
		levels[name] = l.Tensors
	}
	return holdsV1{h.Meta, h.Programs, levels, h.State}
}

// present returns m, empty for nil: the JSON has no null there.
func present(m map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, m)
	return out
}

func numbers(xs []float32) []float64 {
	out := []float64{}
	for _, x := range xs {
		out = append(out, float64(x))
	}
	return out
}

func describePorts(ports []Port) []holdsPort {
	out := []holdsPort{}
	for _, p := range ports {
		out = append(out, holdsPort{p.Name, p.DType.String(), p.Shape.String(), numbers(p.Mean), numbers(p.Std), append([]string{}, p.Classes...)})
	}
	return out
}

func describePrograms(t testing.TB, programs map[string]*graph.Program) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, p := range programs {
		code, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = sha(code)
	}
	return out
}

func describeTensors(t testing.TB, values map[string]array.Value) map[string]holdsTensor {
	t.Helper()
	out := map[string]holdsTensor{}
	for name, v := range values {
		x := holdsTensor{Dims: append([]int{}, v.Dims...), Encoding: encodingOf(v).String(), Stored: v.Stored(), SHA256: sha(decoded(t, v).Data)}
		if v.Quantization != nil {
			q := describeQuantization(*v.Quantization)
			x.Quantization = &q
		}
		out[name] = x
	}
	return out
}

func describeQuantization(q array.Quantization) holdsQuantization {
	return holdsQuantization{q.Axis, numbers(q.Scale), q.Zero}
}

// TestGolden holds that the committed files load for ever, with the content of their .json, and
// that the files of this version are still written with the same bytes.
func TestGolden(t *testing.T) {
	if *goldenDir != "" {
		writeGolden(t, *goldenDir)
		return
	}
	files, err := filepath.Glob("testdata/golden/*.cram")
	if err != nil || len(files) < 10+len(kinds(t)) {
		t.Fatalf("%d golden files, want at least %d: %v", len(files), 10+len(kinds(t)), err)
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
		text, err := os.ReadFile(strings.TrimSuffix(path, "cram") + "json")
		if err != nil {
			t.Fatal(err)
		}
		var d string
		if strings.HasPrefix(filepath.Base(path), "v2-") {
			var want holds
			err = json.Unmarshal(text, &want)
			d = gocmp.Diff(want, describe(t, f), equal)
		} else {
			var want holdsV1
			err = json.Unmarshal(text, &want)
			d = gocmp.Diff(want, describeV1(t, f), equal)
		}
		if err != nil || d != "" {
			t.Errorf("%s changed (-want +got): %v\n%s", path, err, d)
		}
	}
	for name, f := range kinds(t) {
		b, err := os.ReadFile("testdata/golden/v2-" + name + ".cram")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(write(t, f), b) {
			t.Errorf("%s: the same content is written as other bytes", name)
		}
	}
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	writeJSON := func(name string, x any) {
		text, err := json.MarshalIndent(x, "", "\t")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range kinds(t) {
		if err := Save(filepath.Join(dir, "v2-"+name+".cram"), f); err != nil {
			t.Fatal(err)
		}
		writeJSON("v2-"+name, describe(t, f))
	}
	b, err := os.ReadFile("testdata/v1.cram")
	if err == nil && filepath.Clean(dir) != "testdata/golden" {
		err = os.WriteFile(filepath.Join(dir, "v1.cram"), b, 0o666)
		writeJSON("v1", describeV1(t, elastic(t)))
	}
	if err != nil {
		t.Fatal(err)
	}
}
