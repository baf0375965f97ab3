package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// TestMalformedFields changes the header of a file that uses every field in one way, with
// right checksums.
func TestMalformedFields(t *testing.T) {
	if err := readAll(sealed(t, full(t), func(*header) {})); err != nil {
		t.Fatalf("the unchanged file: %v", err)
	}
	n := graph.Sym("N")
	for name, c := range map[string]struct {
		change func(h *header)
		want   string
	}{
		"a port without N":             {func(h *header) { h.info.Inputs[0].Shape = graph.Of(8) }, "want N as its first dimension"},
		"a port of no rank":            {func(h *header) { h.info.Inputs[1].Shape = nil }, "a port of rank 0"},
		"a port with N second":         {func(h *header) { h.info.Outputs[0].Shape = graph.Shape{{C: 4}, n} }, "want N as its first dimension"},
		"a port with twice N":          {func(h *header) { h.info.Inputs[1].Shape[0].C = 2 }, "want N as its first dimension"},
		"a port with a zero dimension": {func(h *header) { h.info.Inputs[0].Shape[1].C = 0 }, "from 1 to"},
		"a port of rank 17":            {func(h *header) { h.info.Inputs[1].Shape = slices.Repeat(graph.Shape{n}, 17) }, "a port of rank 17"},
		"a port beyond all limits":     {func(h *header) { h.info.Inputs[0].Shape = graph.Batch(1<<40, 1<<40) }, "more than 70368744177664 elements"},
		"unsorted symbols":             {func(h *header) { h.info.Inputs[1].Shape[1].Sym = "T*N" }, `symbols "T*N"`},
		"a symbol without a name":      {func(h *header) { h.info.Inputs[1].Shape[1].Sym = "*T" }, `symbols "*T"`},
		"a symbol of signs":            {func(h *header) { h.info.Inputs[1].Shape[1].Sym = "T/2" }, `symbols "T/2"`},
		"many symbols": {func(h *header) {
			h.info.Inputs[1].Shape = append(h.info.Inputs[1].Shape, graph.Sym(strings.Repeat("T", 255)))
		}, "bytes of symbols"},
		"two inputs of a name":            {func(h *header) { h.info.Inputs[1].Name = "x" }, `two inputs have the name "x"`},
		"two outputs of a name":           {func(h *header) { h.info.Outputs[1].Name = "logits" }, `two outputs have the name "logits"`},
		"a port without a name":           {func(h *header) { h.info.Outputs[1].Name = "" }, "want 1 to 255"},
		"a port of no dtype":              {func(h *header) { h.info.Outputs[1].DType = array.InvalidDType }, `"invalid"`},
		"a class too few":                 {func(h *header) { h.info.Outputs[0].Classes = h.info.Outputs[0].Classes[1:] }, "3 classes"},
		"classes of a vector":             {func(h *header) { h.info.Outputs[0].Shape = graph.Shape{n} }, "4 classes"},
		"an output with mean and no std":  {func(h *header) { h.info.Outputs[1].Std = nil }, "std has 0"},
		"an infinite std":                 {func(h *header) { h.info.Outputs[1].Std[0] = float32(math.Inf(1)) }, "finite"},
		"a step on an unknown port":       {func(h *header) { h.info.Steps[0].Port = "y" }, `port "y", which is neither`},
		"a step of no kind":               {func(h *header) { h.info.Steps[0].Kind = "" }, "want 1 to 255"},
		"a step with a wrong setting":     {func(h *header) { h.info.Steps[0].Settings = map[string]string{"\n": ""} }, "not printable"},
		"a step with a tensor twice":      {func(h *header) { h.steps[1].parts[0].name = "vocabulary" }, "want them sorted and different"},
		"a step with a rest":              {func(h *header) { h.steps[1].parts[1].encoding.kind = rest }, "not an encoding of a whole tensor"},
		"a step with a short tensor":      {func(h *header) { h.steps[1].parts[1].dims = []int{1} }, "do not fit encoding dense"},
		"a level with an unknown program": {func(h *header) { h.levels[2].programs[0].name = "intro" }, `replaces program "intro", which the file does not have`},
		"a level with absent code":        {func(h *header) { h.levels[2].programs[0].code = 7 }, "from 0 to 2, got 7"},
		"a program of absent code":        {func(h *header) { h.programs[0].code = -1 }, "from 0 to 2, got -1"},
		"code of no program at all":       {func(h *header) { h.levels[2].programs, h.levels[3].programs = nil, nil }, "code 2 belongs to no program"},
		"a level of another interface":    {func(h *header) { h.levels[2].programs[0].code = h.programs[1].code }, `level "int8", program "infer": want 2 inputs as the program that it replaces, got 1`},
		"quantization in the wrong place": {func(h *header) { h.levels[2].quantization[0].off += 64 }, "a chunk at offset"},
		"quantization of nothing":         {func(h *header) { h.levels[2].quantization[0].n = 0 }, "from 1 to"},
		"a level with another's scales": {func(h *header) {
			h.levels[2].quantization, h.levels[4].quantization = h.levels[4].quantization, h.levels[2].quantization
		}, "a chunk at offset"},
		"activations as quantization":      {func(h *header) { l := &h.levels[2]; l.quantization, l.activations = l.activations, l.quantization }, "a chunk at offset"},
		"a state without its quantization": {func(h *header) { h.state.quantization = nil }, "its table of contents says"},
	} {
		refused(t, name, sealed(t, full(t), c.change), c.want)
	}
}

// entry returns one entry of the blob of a quantization.
func quantizationEntry(name string, axis int64, scales []float32, zeros string) string {
	var b []byte
	for _, s := range scales {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s))
	}
	w := pack.NewWriter()
	w.String(name)
	w.Array(3)
	w.Int(axis)
	w.Bin(b)
	w.Bin([]byte(zeros))
	return string(w.Bytes())
}

// TestMalformedQuantizations gives the fourth level of full, whose one tensor has one scale,
// other content for its quantization, or for its activations.
func TestMalformedQuantizations(t *testing.T) {
	const level = 3
	four := []float32{1, 2, 3, 4}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	e := func(axis int64, zeros string, scales ...float32) string {
		return "\x81" + quantizationEntry("fc.weight", axis, scales, zeros)
	}
	for name, c := range map[string]struct{ content, want string }{
		"one scale":                     {e(-1, "\x80", 1), ""},
		"four scales":                   {e(0, "\x80\x00\x01\x7f", four...), ""},
		"scales of another axis":        {e(1, "\x00\x00\x00\x00", four...), "want 8 scales and zeros, got 4 and 4"},
		"scales of no axis":             {e(2, "\x00", 1), "want an axis of [4 8] or -1, got 2"},
		"scales of axis -2":             {e(-2, "\x00", 1), "from -1 to 15"},
		"scales for the whole":          {e(-1, "\x00\x00\x00\x00", four...), "want 1 scales"},
		"no scales":                     {e(-1, ""), "want 1 scales"},
		"a scale that is zero":          {e(-1, "\x00", 0), "want a finite scale above 0, got 0"},
		"a scale that is -0":            {e(-1, "\x00", float32(math.Copysign(0, -1))), "want a finite scale above 0"},
		"a scale below zero":            {e(-1, "\x00", -1), "want a finite scale above 0, got -1"},
		"a scale that is NaN":           {e(-1, "\x00", nan), "want a finite scale above 0, got NaN"},
		"a scale that is infinite":      {e(0, "\x00\x00\x00\x00", 1, 1, inf, 1), "got +Inf at index 2"},
		"a zero point too few":          {e(0, "\x00\x00\x00", four...), "16 bytes of scales and 3 zeros"},
		"a zero point too many":         {e(0, "\x00\x00\x00\x00\x00", four...), "16 bytes of scales and 5 zeros"},
		"zero points of 32 bits":        {e(-1, "\x00\x00\x00\x00", 1), "4 bytes of scales and 4 zeros"},
		"half a scale":                  {"\x81\xa9fc.weight\x93\xff\xc4\x02\x00\x00\xc4\x01\x00", "2 bytes of scales and 1 zeros"},
		"quantization of no tensor":     {"\x81" + quantizationEntry("fc.bias", -1, []float32{1}, "\x00"), "has no i8 tensor of this name"},
		"quantization of a name twice":  {"\x82" + e(-1, "\x00", 1)[1:] + e(-1, "\x00", 1)[1:], "want them sorted and different"},
		"quantization without entries":  {"\x80", "want 1 to 131072 entries, got 0"},
		"quantization with more behind": {e(-1, "\x00", 1) + "\x00", "follow the end"},
		"quantization in a long form":   {"\xde\x00\x01" + e(-1, "\x00", 1)[1:], "shortest"},
		"quantization with a long axis": {"\x81\xa9fc.weight\x93\xd0\xff\xc4\x04\x00\x00\x80\x3f\xc4\x01\x00", "shortest"},
		"quantization of 2³²-1 tensors": {"\xdf\xff\xff\xff\xff" + e(-1, "\x00", 1)[1:], "does not fit"},
		"quantization of a list":        {"\x91\xa1x", "want a map"},
		"quantization of 2³²-1 scales":  {"\x81\xa9fc.weight\x93\xff\xc6\xff\xff\xff\xff", "needs 4294967295 bytes"},
	} {
		b := withLevelBlobs(t, level, c.content, "")
		if c.want == "" {
			if err := readAll(b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refused(t, name, b, c.want)
	}
	sound := e(-1, "\x00", 1)
	for name, c := range map[string]struct{ content, want string }{
		"an activation":                        {"\x81" + quantizationEntry("y", 0, four, "\x00\x01\x02\x03"), ""},
		"an activation without scales":         {"\x81" + quantizationEntry("y", 0, nil, ""), "want 1 or more scales"},
		"an activation of scale 0":             {"\x81" + quantizationEntry("y", 1, []float32{1, 0}, "\x00\x00"), "want a finite scale above 0"},
		"an activation that is NaN":            {"\x81" + quantizationEntry("y", -1, []float32{nan}, "\x00"), "want a finite scale above 0"},
		"an activation of axis 16":             {"\x81" + quantizationEntry("y", 16, []float32{1}, "\x00"), "from -1 to 15"},
		"an activation without axis, 2 scales": {"\x81" + quantizationEntry("y", -1, []float32{1, 1}, "\x00\x00"), "want 1 scales"},
		"an activation without a name":         {"\x81" + quantizationEntry("", -1, []float32{1}, "\x00"), "want 1 to 255"},
		"an activation of a newline":           {"\x81" + quantizationEntry("\n", -1, []float32{1}, "\x00"), "not printable"},
		"activations unsorted":                 {"\x82" + quantizationEntry("b", -1, []float32{1}, "\x00") + quantizationEntry("a", -1, []float32{1}, "\x00"), "want them sorted and different"},
	} {
		b := withLevelBlobs(t, level, sound, c.content)
		if c.want == "" {
			if err := readAll(b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refused(t, name, b, c.want)
	}
	refused(t, "a zero point where zeros are not stored", withLevelBlobs(t, 4, e(-1, "\x01", 1), ""), "store it dense")
	refused(t, "quantization of floats", withLevelBlobs(t, 0, e(-1, "\x00", 1), ""), "has no i8 tensor of this name")
}

// withLevelBlobs returns full with other content in the blobs of a level.
func withLevelBlobs(t *testing.T, level int, quantization, activations string) []byte {
	t.Helper()
	p, err := newWriting(full(t))
	if err != nil {
		t.Fatal(err)
	}
	k := len(p.head.code) + len(p.head.parts) + level
	for _, s := range p.head.steps {
		k += len(s.parts) + 1
	}
	p.head.levels[level].quantization, p.head.levels[level].activations = chunks([]byte(quantization)), chunks([]byte(activations))
	p.sources[k] = func() ([]byte, []byte, error) { return []byte(quantization), []byte(activations), nil }
	p.head.layOut()
	var out bytes.Buffer
	if err := p.write(&out, p.head.encode()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMalformedStepProportion: the tensors of all steps together are limited, like those of a
// level.
func TestMalformedStepProportion(t *testing.T) {
	steps := func(count, elements int) *draft {
		d := &draft{}
		d.info.Inputs = []Port{{Name: "x", DType: array.F32, Shape: graph.Batch()}}
		for i := range count {
			index, values := few(array.I8, elements, 0)
			d.info.Steps = append(d.info.Steps, Step{Kind: fmt.Sprint(i), Port: "x"})
			d.steps = append(d.steps, tensorSet{parts: []part{{tensor: tensor{"w", array.I8, []int{elements}}, encoding: encoding{kind: index16}, index: chunks(index), values: chunks(values)}}})
			d.contents = append(d.contents, index, values)
		}
		return d
	}
	if err := readAll(steps(1, 1<<28).bytes(t)); err != nil {
		t.Error(err)
	}
	refused(t, "a step of half a gigabyte", steps(1, 1<<29).bytes(t), "step 0 (0): its tensors take 536870912 bytes dense")
	refused(t, "four steps of a quarter of a gigabyte", steps(4, 1<<28).bytes(t), "steps: its tensors take 1073741824 bytes dense")
}

// TestWriterRefusesVersion2 holds that what a reader refuses is not written.
func TestWriterRefusesVersion2(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *File)
		want   string
	}{
		"a port without N":          {func(f *File) { f.Info.Inputs[0].Shape = graph.Of(8) }, "want N"},
		"a step on an unknown port": {func(f *File) { f.Info.Steps[0].Port = "y" }, "neither an input nor an output"},
		"a broken tensor of a step": {func(f *File) { f.Info.Steps[0].Tensors = map[string]array.Value{"w": {}} }, `step 0 (image), tensor "w"`},
		"a nil program of a level":  {func(f *File) { f.Levels[2].Programs = map[string]*graph.Program{"infer": nil} }, `level "int8", program "infer" is nil`},
		"a broken program": {func(f *File) {
			f.Levels[2].Programs = map[string]*graph.Program{"infer": {Inputs: []graph.Port{{ID: 9}}}}
		}, `level "int8", program "infer"`},
		"an unknown program": {func(f *File) { f.Levels[2].Programs = map[string]*graph.Program{"x": tinyProgram(t)} }, "which the file does not have"},
		"another interface":  {func(f *File) { f.Levels[2].Programs = map[string]*graph.Program{"infer": tinyProgram(t)} }, "want 2 inputs"},
		"another type": {func(f *File) {
			f.Programs = map[string]*graph.Program{"infer": tinyProgram(t)}
			b := graph.NewBuilder()
			b.Output("logits", b.Input("x", array.F32, graph.Batch(8)))
			p, err := b.Program()
			if err != nil {
				t.Fatal(err)
			}
			f.Levels = f.Levels[:1]
			f.Levels[0].Programs = map[string]*graph.Program{"infer": p}
		}, `output 0: want "logits" f32[N 4] as the program that it replaces, got "logits" f32[N 8]`},
		"a scale of 0": {func(f *File) {
			f.Levels[2].Activations = map[string]array.Quantization{"y": {Axis: -1, Scale: []float32{0}, Zero: []int32{0}}}
		}, `activation "y"`},
		"a zero point of 128": {func(f *File) {
			f.Levels[2].Activations = map[string]array.Quantization{"y": {Axis: -1, Scale: []float32{1}, Zero: []int32{128}}}
		}, "want a zero of -128 to 127, got 128"},
		"an activation of axis -5": {func(f *File) {
			f.Levels[2].Activations = map[string]array.Quantization{"y": {Axis: -5, Scale: []float32{1}, Zero: []int32{0}}}
		}, "got -5"},
		"an activation of axis 16": {func(f *File) {
			f.Levels[2].Activations = map[string]array.Quantization{"y": {Axis: 16, Scale: []float32{1}, Zero: []int32{0}}}
		}, "want an axis of -1 to 15, got 16"},
		"an activation of a newline": {func(f *File) {
			f.Levels[2].Activations = map[string]array.Quantization{"\n": {Axis: -1, Scale: []float32{1}, Zero: []int32{0}}}
		}, "not printable"},
	} {
		f := full(t)
		c.change(f)
		var out bytes.Buffer
		if err := Write(&out, f); err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want one with %q and none", name, err, out.Len(), c.want)
		}
	}
}

// TestFull reads back everything that a file can have, step by step and whole.
func TestFull(t *testing.T) {
	want := full(t)
	r := read(t, write(t, want))
	got, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	if what := difference(t, want, got); what != "" {
		t.Errorf("%s changed", what)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
	if s := r.Info().Steps; len(s) != 3 || s[1].Tensors != nil {
		t.Errorf("Info has the steps %v", s)
	}
	if got.Levels[3].Programs["infer"].String() != got.Levels[2].Programs["infer"].String() || len(r.head.code) != 3 {
		t.Errorf("equal programs have different code: %d", len(r.head.code))
	}
	info, err := r.LevelInfo("int8")
	if err != nil || fmt.Sprint(info.Programs) != "[infer]" || info.Notes["fc.weight"] != "a scale for each output" {
		t.Errorf("%+v, %v", info, err)
	}
}
