package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// TestMemory holds how much memory reading allocates in all, which is more than it has at any
// time: 64 MiB plus twice the bytes of the file and of the tensors that it describes. Small files
// describe tensors of gigabytes, and headers are as full as possible. The levels of a file add up,
// so the files here have few.
func TestMemory(t *testing.T) {
	const huge = 1 << 32
	// elements that a small file may describe
	most := func(dtype array.DType) int { return 256 << 20 / dtype.Bytes(1) }
	index16Of := func(dtype array.DType) *draft {
		d := &draft{}
		n := most(dtype)
		d.tensors = []tensor{{"w", dtype, []int{n}}}
		for i := range 3 {
			index, values := few(dtype, n, i*(n/4)+i)
			d.part(0, encoding{kind: index16}, index, values)
		}
		return d
	}
	stack := func(dtype array.DType, result encoding, parts ...int) *draft {
		d := index16Of(dtype)
		d.levels = []level{{name: "a", entries: []entry{{0, result, int64(len(parts)), parts}}}, {name: "b", entries: []entry{{0, encoding{kind: index16}, 3, []int{0, 1, 2}}}}}
		return d
	}
	over := func(f encoding, index, values []byte) *draft { // one more part over a stack
		d := index16Of(array.I8)
		d.part(0, f, index, values)
		d.levels = []level{{name: "a", entries: []entry{{0, encoding{kind: index16}, 3, []int{0, 1, 2, 3}}}}}
		return d
	}
	groups := func(dims ...int) *draft { // 1:256 of i8, all at offset 0
		d := &draft{}
		d.tensors = []tensor{{"w", array.I8, dims}}
		n, f := array.Count(dims)/256, encoding{grouped, 1, 256, 0}
		d.part(0, f, make([]byte, n), make([]byte, n))
		d.levels = []level{{name: "a", entries: []entry{{0, f, int64(n), []int{0}}}}}
		return d
	}
	state := func(dtype array.DType, n int) *draft {
		d := &draft{}
		index, values := few(dtype, n, n/2)
		d.state = &state{tensorSet: tensorSet{parts: []part{{tensor: tensor{"m", dtype, []int{n}}, encoding: encoding{kind: index16}, index: chunks(index), values: chunks(values)}}}}
		d.contents = [][]byte{index, values}
		return d
	}
	for name, c := range map[string]struct {
		d    *draft
		want string // of the error, or "" when the file is legal
	}{
		"index16 of 64 Mi elements":            {stack(array.F32, encoding{kind: index16}, 0), ""},
		"a stack of them":                      {stack(array.F32, encoding{kind: index16}, 0, 1), ""},
		"a stack of 64 bits":                   {stack(array.F64, encoding{kind: index16}, 0, 1, 2), ""},
		"a bitmask of a stack":                 {stack(array.F32, encoding{kind: bitmask}, 0, 1), ""},
		"a dense tensor of a stack":            {stack(array.F32, encoding{}, 0, 1), "sparse parts do not make dense"},
		"N:M of a stack":                       {stack(array.F32, encoding{grouped, 1, 256, 0}, 0, 1), "sparse parts do not make nm:1:256:0"},
		"a rest over a stack":                  {over(encoding{kind: rest}, nil, make([]byte, 99)), "the rest has 99 bytes, want 268435453"},
		"a mask over a stack":                  {over(encoding{kind: masked}, nil, nil), "do not fit encoding mask"},
		"N:M of 64 Mi elements":                {groups(1<<18, 1<<8), ""},
		"a state of 64 Mi elements":            {state(array.F32, most(array.F32)), ""},
		"a state of 32 Mi elements of 64 bits": {state(array.F64, most(array.F64)), ""},
		"a state of 4 Gi elements":             {state(array.F32, huge), "state: its tensors take 17179869184 bytes dense"},
		"index16 of 4 Gi elements":             {sparse(huge), "its tensors take 17179869184 bytes dense"},
		"index16 of 128 Mi elements":           {sparse(1 << 27), "its tensors take 536870912 bytes dense"},
		"index16 of 32 Ti elements":            {sparse(1 << 45), "do not fit"},
		"a dense tensor that is not there":     {claim(huge, encoding{}), "do not fit encoding dense"},
		"a bitmask that is not there":          {claim(huge, encoding{kind: bitmask}), "do not fit encoding bitmask"},
		"an index16 that is not there":         {claim(huge, encoding{kind: index16}), "do not fit encoding index16"},
		"N:M that is not there":                {claim(huge, encoding{grouped, 1, 256, 0}), "do not fit encoding nm"},
		"a tensor beyond all bounds":           {claim(maxElements+1, encoding{}), "from 1 to"},
		"32,767 tensors":                       {manyTensors(maxLines/4 - 1), ""},
		"32,768 tensors":                       {manyTensors(maxLines / 4), "more than 131072 lines"},
		"tensors of rank 16":                   {manyTensors(maxLines/8, make16(1)...), ""},
		"a stack of 30,000":                    {deepStack(30000, 2), ""},
		"131,000 classes":                      {info131k(func(m *Info, name string) { m.Outputs = classes(m.Output(), name) }), ""},
		"a vocabulary of 8 MiB":                {vocabulary(8 << 20), ""},
		"131,072 activations":                  {activations(maxLines), ""},
		"131,073 activations":                  {activations(maxLines + 1), "want 1 to 131072 entries"},
		"a million scales":                     {scales(1 << 20), ""},
		"131,000 notes of nothing":             {info131k(func(m *Info, name string) { m.Extra[name] = "" }), ""},
		"texts as long as they may be":         {longTexts(), ""},
		"131,073 classes":                      {info131k(func(m *Info, name string) { m.Outputs = classes(m.Output(), name, name+"'") }), "more than 131072 lines"},
		"more levels than 64":                  {manyLevels(65), "65 levels, the limit is 64"},
	} {
		err := withinBound(t, name, c.d.bytes(t))
		var bad *FormatError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// A draft is a file made by hand: a header whose blobs have no offsets, and their contents in file
// order.
type draft struct {
	header
	contents [][]byte
}

// part adds a part and returns its number.
func (d *draft) part(number int, e encoding, index, values []byte) int {
	d.parts = append(d.parts, part{d.tensors[number], number, e, chunks(index), chunks(values)})
	d.contents = append(d.contents, index, values)
	return len(d.parts) - 1
}

func (d *draft) bytes(t testing.TB) []byte {
	t.Helper()
	p := &writing{head: d.header}
	p.head.layOut()
	for _, content := range d.contents {
		p.sources = append(p.sources, func() ([]byte, []byte, error) { return nil, content, nil })
	}
	var out bytes.Buffer
	if err := p.write(&out, p.head.encode()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// few returns the index and the values of an index16 of n elements that stores one.
func few(dtype array.DType, n, stored int) (index, values []byte) {
	index = make([]byte, (n+runLength-1)/runLength*4)
	binary.LittleEndian.PutUint32(index[stored/runLength*4:], 1)
	return binary.LittleEndian.AppendUint16(index, uint16(stored%runLength)), bytes.Repeat([]byte{1}, dtype.Bytes(1))
}

// claim returns a file of one tensor of n elements and a few bytes.
func claim(n int, f encoding) *draft {
	d := &draft{}
	d.tensors = []tensor{{"w", array.F32, []int{n}}}
	d.part(0, f, []byte{1}, make([]byte, 64))
	d.levels = []level{{name: "a", entries: []entry{{0, f, int64(n), []int{0}}}}}
	return d
}

// sparse returns a file of one index16 of n elements that stores one. Its index is too short if n
// is above 1<<32.
func sparse(n int) *draft {
	d := &draft{}
	index, values := few(array.F32, min(n, 1<<32), 0)
	d.tensors = []tensor{{"w", array.F32, []int{n}}}
	d.part(0, encoding{kind: index16}, index, values)
	d.levels = []level{{name: "a", entries: []entry{{0, encoding{kind: index16}, 1, []int{0}}}}}
	return d
}

// manyTensors returns a file of n tensors with the given dimensions, one dense part each, at one
// level.
func manyTensors(n int, dims ...int) *draft {
	d := &draft{}
	d.levels = []level{{name: "a"}}
	for i := range n {
		d.tensors = append(d.tensors, tensor{fmt.Sprintf("%06d", i), array.I8, dims})
		d.part(i, encoding{}, nil, []byte{1})
		d.levels[0].entries = append(d.levels[0].entries, entry{i, encoding{}, 1, []int{i}})
	}
	return d
}

func make16(extent int) []int {
	dims := make([]int, 16)
	for i := range dims {
		dims[i] = extent
	}
	return dims
}

// deepStack returns a file of one element that none of the given number of parts stores; all parts
// are a stack at each level.
func deepStack(parts, levels int) *draft {
	d := &draft{}
	d.tensors = []tensor{{"w", array.I8, nil}}
	var all []int
	for range parts {
		all = append(all, d.part(0, encoding{kind: bitmask}, []byte{0}, nil))
	}
	for i := range levels {
		d.levels = append(d.levels, level{name: fmt.Sprint(i), entries: []entry{{0, encoding{kind: bitmask}, 0, all}}})
	}
	return d
}

// classes returns the output p with more classes.
func classes(p Port, names ...string) []Port {
	p.Name, p.DType, p.Shape = "logits", array.F32, graph.Shape{graph.Sym("N"), graph.Sym("C")}
	p.Classes = append(p.Classes, names...)
	return []Port{p}
}

// info131k returns a file with 131,000 entries in its Info.
func info131k(add func(m *Info, name string)) *draft {
	d := &draft{}
	d.info.Extra = map[string]string{}
	for i := range 131000 {
		add(&d.info, fmt.Sprintf("%06d", i))
	}
	d.steps = make([]tensorSet, len(d.info.Steps))
	return d
}

// longTexts returns a file with nearly 4 MiB of text.
func longTexts() *draft {
	d := &draft{}
	d.info.Extra = map[string]string{}
	for i := range 63 {
		d.info.Extra[fmt.Sprintf("%06d", i)] = strings.Repeat("x", maxText)
	}
	return d
}

// vocabulary returns a file of one step with a tensor of n bytes.
func vocabulary(n int) *draft {
	d := &draft{}
	d.info.Inputs = []Port{{Name: "x", DType: array.F32, Shape: graph.Batch()}}
	d.info.Steps = []Step{{Kind: "wordpiece", Port: "x"}}
	words := bytes.Repeat([]byte("word\n"), n/5+1)[:n]
	d.steps = []tensorSet{{parts: []part{{tensor: tensor{"vocabulary", array.I8, []int{n}}, values: chunks(words)}}}}
	d.contents = [][]byte{words}
	return d
}

// activations returns a file of one level with n quantized activations.
func activations(n int) *draft {
	all := map[string]array.Quantization{}
	for i := range n {
		all[fmt.Sprint(i)] = array.Quantization{Axis: -1, Scale: []float32{1}, Zero: []int32{0}}
	}
	content := encodeQuantizations(all)
	d := &draft{contents: [][]byte{content}}
	d.levels = []level{{name: "a", activations: chunks(content)}}
	return d
}

// scales returns a file of one tensor with n scales.
func scales(n int) *draft {
	content := encodeQuantizations(map[string]array.Quantization{"w": {Axis: 0, Scale: slices.Repeat([]float32{1}, n), Zero: make([]int32, n)}})
	d := &draft{}
	d.tensors = []tensor{{"w", array.I8, []int{n}}}
	d.part(0, encoding{}, nil, make([]byte, n))
	d.levels = []level{{name: "a", quantization: chunks(content), entries: []entry{{0, encoding{}, int64(n), []int{0}}}}}
	d.contents = append(d.contents, content)
	return d
}

func manyLevels(n int) *draft {
	d := &draft{}
	for i := range n {
		d.levels = append(d.levels, level{name: fmt.Sprint(i)})
	}
	return d
}

// withinBound checks the limit of memory for all ways to read b, and returns the first error.
func withinBound(t *testing.T, name string, b []byte) error {
	t.Helper()
	described := 0 // bytes of what the last call returned
	count := func(values map[string]array.Value) {
		for _, v := range values {
			described += v.Bytes()
		}
	}
	hold := func(what string, f func() error) (err error) {
		described = 0
		used := allocated(func() { err = f() })
		if used > bound(len(b)+described) {
			t.Errorf("%s: %s takes %d KiB of memory, the file has %d KiB and describes %d", name, what, used>>10, len(b)>>10, described>>10)
		}
		return err
	}
	var r *Reader
	if err := hold("NewReader", func() (err error) {
		r, err = NewReader(bytes.NewReader(b), int64(len(b)))
		return err
	}); err != nil {
		return err
	}
	for _, l := range r.Levels() {
		if err := hold("Level", func() error {
			level, err := r.Level(l)
			if err == nil {
				count(level.Tensors)
			}
			return err
		}); err != nil {
			return err
		}
	}
	if err := hold("File", func() error {
		f, err := r.File()
		if err != nil {
			return err
		}
		for _, l := range f.Levels {
			count(l.Tensors)
		}
		if f.State != nil {
			count(f.State.Tensors)
		}
		return nil
	}); err != nil {
		return err
	}
	return hold("Verify", r.Verify)
}

// TestHeaderBombs checks the limit of memory for headers of 4 MiB that repeat one thing.
func TestHeaderBombs(t *testing.T) {
	long := func(what string) string { return strings.Repeat(what, (maxHeader-300)/len(what)) }
	list := func(n int) string { // the beginning of an array of n
		w := pack.NewWriter()
		w.Array(n)
		return string(w.Bytes())
	}
	const before = "\x86\xa4meta\x87\xa5model\xa0\xa6recipe\xa0\xa4data\xa0\xa4seed\x00\xa8versions\x80\xa5input\x84\xa5shape\x90\xa4mean\x90\xa3std\x90\xa7classes\x90\xa5extra\x80"
	const before2 = "\x8a\xa4meta\x86\xa5model\xa0\xa6recipe\xa0\xa4data\xa0\xa4seed\x00\xa8versions\x80\xa5extra\x80\xa6inputs"
	const toTensors = before2 + "\x90\xa7outputs\x90\xa5steps\x90\xa4code\x90\xa8programs\x80\xa7tensors"
	const port = "\x96\xa1x\xa3f32\x91\x92\x01\xa1N\x90\x90\x90"
	for name, c := range map[string]struct {
		version byte
		head    string
		want    string
	}{
		"ports of nothing":              {2, before2 + list(maxLines+1) + long("\x90"), "more than 131072 lines"},
		"ports of one name":             {2, before2 + list(maxLines) + long(port), "two inputs have the name"},
		"a shape of millions":           {2, before2 + "\x91\x96\xa1x\xa3f32" + list(maxHeader-400) + long("\x01"), "a port of rank"},
		"shapes of nothing but symbols": {2, before2 + list(maxLines/2) + long("\x96\xa1x\xa3f32\x92\x92\x01\xa1N\x92\x01\xd9\xf9"+strings.Repeat("a*", 124)+"a\x90\x90\x90"), "two inputs have the name"},
		"classes of nothing":            {2, before2 + "\x91\x96\xa1x\xa3f32\x91\x92\x01\xa1N\x90\x90" + list(maxLines) + long("\xa1a"), "more than 131072 lines"},
		"steps of nothing":              {2, before2 + "\x91" + port + "\xa7outputs\x90\xa5steps" + list(maxLines-1) + long("\x95\xa1k\xa1x\x80\x90\x90"), "want a string"},
		"steps of one setting":          {2, before2 + "\x91" + port + "\xa7outputs\x90\xa5steps\x91\x95\xa1k\xa1x" + "\xdf\x00\x02\x00\x01" + long("\xa1a\xa0"), "more than 131072 lines"},
		"steps of one tensor":           {2, before2 + "\x91" + port + "\xa7outputs\x90\xa5steps\x91\x95\xa1k\xa1x\x80" + list(maxLines-2) + long("\x96\xa1a\xa2i8\x91\x00"), "from 1 to"},
		"code of nothing":               {2, before2 + "\x90\xa7outputs\x90\xa5steps\x90\xa4code" + list(maxLines) + long("\x90"), "want a string"},
		"programs of no code":           {2, before2 + "\x90\xa7outputs\x90\xa5steps\x90\xa4code\x90\xa8programs" + "\xdf\x00\x01\xff\xff" + long("\xa1a\x00"), "from 0 to -1"},
		"tensors of one name, again":    {2, toTensors + list(maxLines) + long("\x93\xa1a\xa2i8\x90"), "sorted"},
		"nothing but arrays":            {1, long("\x90"), "want a map"},
		"nothing but nesting":           {1, long("\x91"), "want a map"},
		"programs of nothing":           {1, before + "\xa8programs" + list(maxHeader-400) + long("\x90"), "more than 131072 lines"},
		"131,072 empty arrays":          {1, before + "\xa8programs" + list(maxLines) + long("\x90"), "want an array of 2"},
		"programs of one name":          {1, before + "\xa8programs" + list(maxLines) + long("\x92\xa1a\x90"), "sorted"},
		"tensors of one name":           {1, before + "\xa8programs\x90\xa7tensors" + list(maxLines) + long("\x93\xa1a\xa2i8\x90"), "sorted"},
		"a rank of millions":            {1, before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8" + list(maxHeader-400) + long("\x01"), "rank 4193904"},
		"a blob of many chunks":         {1, before + "\xa8programs\x91\x92\xa1a" + list(maxLines-1) + long("\x93\x00\x01\x00"), "only the last may have less"},
		"empty parts":                   {1, before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8\x90\xa5parts" + list(maxLines-1) + long("\x94\x00\xa4rest\x90\x90"), "want a string"},
		"unknown forms":                 {1, before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8\x90\xa5parts" + list(maxLines-1) + long("\x94\x00\xa8::::::::\x90\x90"), "unknown encoding"},
	} {
		if len(c.head) > maxHeader || len(c.head) < maxHeader-400 {
			t.Fatalf("%s: a header of %d bytes", name, len(c.head))
		}
		w := pack.NewWriter()
		w.Bin(binary.LittleEndian.AppendUint32(nil, checksum([]byte(c.head))))
		w.Bin([]byte(c.head))
		err := withinBound(t, name, append(append([]byte(magic), c.version), w.Bytes()...))
		var bad *FormatError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	over := []byte(magic + "\x02\xc4\x04aaaa\xc6\x00\x40\x00\x01" + strings.Repeat("\x00", maxHeader+1))
	if err := withinBound(t, "a header longer than allowed", over); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("a header longer than allowed: error %v", err)
	}
}
