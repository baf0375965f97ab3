package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
)

// TestMemory holds what reading takes, counted by what is allocated and so stricter than what is held at once: 64 MiB plus twice what is legal, which
// is the bytes of the file and of what it describes. (All levels of a file add up in that count: the files here have few.) Small files claim tensors of gigabytes, and headers are as full as they may be.
func TestMemory(t *testing.T) {
	const huge = 1 << 32
	most := func(dtype array.DType) int { return 256 << 20 / dtype.Bytes(1) } // elements that a file of nothing may claim
	index16Of := func(dtype array.DType) *draft {
		d := &draft{}
		n := most(dtype)
		d.tensors = []tensor{{"w", dtype, []int{n}}}
		for i := range 3 {
			index, values := few(dtype, n, i*(n/4)+i)
			d.part(0, form{kind: index16}, index, values)
		}
		return d
	}
	stack := func(dtype array.DType, result form, parts ...int) *draft {
		d := index16Of(dtype)
		d.levels = []level{{name: "a", entries: []entry{{0, result, int64(len(parts)), parts}}}, {name: "b", entries: []entry{{0, form{kind: index16}, 3, []int{0, 1, 2}}}}}
		return d
	}
	over := func(f form, index, values []byte) *draft { // one more part over a stack
		d := index16Of(array.I8)
		d.part(0, f, index, values)
		d.levels = []level{{name: "a", entries: []entry{{0, form{kind: index16}, 3, []int{0, 1, 2, 3}}}}}
		return d
	}
	groups := func(dims ...int) *draft { // 1:256 of i8, all at place 0
		d := &draft{}
		d.tensors = []tensor{{"w", array.I8, dims}}
		n, f := array.Count(dims)/256, form{grouped, 1, 256, 0}
		d.part(0, f, make([]byte, n), make([]byte, n))
		d.levels = []level{{name: "a", entries: []entry{{0, f, int64(n), []int{0}}}}}
		return d
	}
	state := func(dtype array.DType, n int) *draft {
		d := &draft{}
		index, values := few(dtype, n, n/2)
		d.state = &state{tensors: []stateTensor{{tensor{"m", dtype, []int{n}}, form{kind: index16}, chunks(index), chunks(values)}}}
		d.contents = [][]byte{index, values}
		return d
	}
	for name, c := range map[string]struct {
		d    *draft
		want string // of the error, or "" when the file is legal
	}{
		"index16 of 64 Mi elements":            {stack(array.F32, form{kind: index16}, 0), ""},
		"a stack of them":                      {stack(array.F32, form{kind: index16}, 0, 1), ""},
		"a stack of 64 bits":                   {stack(array.F64, form{kind: index16}, 0, 1, 2), ""},
		"a bitmask of a stack":                 {stack(array.F32, form{kind: bitmask}, 0, 1), ""},
		"a dense tensor of a stack":            {stack(array.F32, form{}, 0, 1), "sparse parts do not make dense"},
		"N:M of a stack":                       {stack(array.F32, form{grouped, 1, 256, 0}, 0, 1), "sparse parts do not make nm:1:256:0"},
		"a rest over a stack":                  {over(form{kind: rest}, nil, make([]byte, 99)), "the rest has 99 bytes, want 268435453"},
		"a mask over a stack":                  {over(form{kind: masked}, nil, nil), "do not fit encoding mask"},
		"N:M of 64 Mi elements":                {groups(1<<18, 1<<8), ""},
		"a state of 64 Mi elements":            {state(array.F32, most(array.F32)), ""},
		"a state of 32 Mi elements of 64 bits": {state(array.F64, most(array.F64)), ""},
		"a state of 4 Gi elements":             {state(array.F32, huge), "state: its tensors take 17179869184 bytes written out"},
		"index16 of 4 Gi elements":             {sparse(huge), "its tensors take 17179869184 bytes written out"},
		"index16 of 128 Mi elements":           {sparse(1 << 27), "its tensors take 536870912 bytes written out"},
		"index16 of 32 Ti elements":            {sparse(1 << 45), "do not fit"},
		"a dense tensor that is not there":     {claim(huge, form{}), "do not fit encoding dense"},
		"a bitmask that is not there":          {claim(huge, form{kind: bitmask}), "do not fit encoding bitmask"},
		"an index16 that is not there":         {claim(huge, form{kind: index16}), "do not fit encoding index16"},
		"N:M that is not there":                {claim(huge, form{grouped, 1, 256, 0}), "do not fit encoding nm"},
		"a tensor beyond all bounds":           {claim(maxElements+1, form{}), "from 1 to"},
		"32,767 tensors":                       {manyTensors(maxLines/4 - 1), ""},
		"32,768 tensors":                       {manyTensors(maxLines / 4), "more than 131072 lines"},
		"tensors of rank 16":                   {manyTensors(maxLines/8, make16(1)...), ""},
		"a stack of 30,000":                    {deepStack(30000, 2), ""},
		"131,000 classes":                      {meta131k(func(m *Info, name string) { m.Outputs = classes(m.Output(), name) }), ""},
		"131,000 notes of nothing":             {meta131k(func(m *Info, name string) { m.Extra[name] = "" }), ""},
		"texts as long as they may be":         {longTexts(), ""},
		"131,073 classes":                      {meta131k(func(m *Info, name string) { m.Outputs = classes(m.Output(), name, name+"'") }), "more than 131072 lines"},
		"more levels than 64":                  {manyLevels(65), "65 levels, the limit is 64"},
	} {
		err := withinBound(t, name, c.d.bytes(t))
		var bad *FormatError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// A draft is a file made by hand: a header whose blobs are still to be placed, and their contents in the order of the file.
type draft struct {
	header
	contents [][]byte
}

// part adds a part and returns its number.
func (d *draft) part(tensor int, f form, index, values []byte) int {
	d.parts = append(d.parts, part{tensor, f, chunks(index), chunks(values)})
	d.contents = append(d.contents, index, values)
	return len(d.parts) - 1
}

func (d *draft) bytes(t testing.TB) []byte {
	t.Helper()
	p := &writing{head: d.header}
	var place layout
	p.head.blobs(func(b *blob) {
		for i, c := range *b {
			(*b)[i] = place.place(c.n)
			(*b)[i].crc = c.crc
		}
	})
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
func claim(n int, f form) *draft {
	d := &draft{}
	d.tensors = []tensor{{"w", array.F32, []int{n}}}
	d.part(0, f, []byte{1}, make([]byte, 64))
	d.levels = []level{{name: "a", entries: []entry{{0, f, int64(n), []int{0}}}}}
	return d
}

// sparse returns a file of one index16 of n elements that stores one, or, where its index would be too long to write, says so.
func sparse(n int) *draft {
	d := &draft{}
	index, values := few(array.F32, min(n, 1<<32), 0)
	d.tensors = []tensor{{"w", array.F32, []int{n}}}
	d.part(0, form{kind: index16}, index, values)
	d.levels = []level{{name: "a", entries: []entry{{0, form{kind: index16}, 1, []int{0}}}}}
	return d
}

// manyTensors returns a file of n tensors of these extents, one dense part each, at one level.
func manyTensors(n int, dims ...int) *draft {
	d := &draft{}
	d.levels = []level{{name: "a"}}
	for i := range n {
		d.tensors = append(d.tensors, tensor{fmt.Sprintf("%06d", i), array.I8, dims})
		d.part(i, form{}, nil, []byte{1})
		d.levels[0].entries = append(d.levels[0].entries, entry{i, form{}, 1, []int{i}})
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

// deepStack returns a file of one element in so many parts, none of which stores it, that so many levels stack up.
func deepStack(parts, levels int) *draft {
	d := &draft{}
	d.tensors = []tensor{{"w", array.I8, nil}}
	var all []int
	for range parts {
		all = append(all, d.part(0, form{kind: bitmask}, []byte{0}, nil))
	}
	for i := range levels {
		d.levels = append(d.levels, level{name: fmt.Sprint(i), entries: []entry{{0, form{kind: bitmask}, 0, all}}})
	}
	return d
}

// meta131k returns a file that says 131,000 things of itself.
// classes returns the output p with more classes.
func classes(p Port, names ...string) []Port {
	p.Classes = append(p.Classes, names...)
	return []Port{p}
}

func meta131k(say func(m *Info, name string)) *draft {
	d := &draft{}
	d.meta.Extra = map[string]string{}
	for i := range 131000 {
		say(&d.meta, fmt.Sprintf("%06d", i))
	}
	return d
}

// longTexts returns a file with nearly 4 MiB of text.
func longTexts() *draft {
	d := &draft{}
	d.meta.Extra = map[string]string{}
	for i := range 63 {
		d.meta.Extra[fmt.Sprintf("%06d", i)] = strings.Repeat("x", maxText)
	}
	return d
}

func manyLevels(n int) *draft {
	d := &draft{}
	for i := range n {
		d.levels = append(d.levels, level{name: fmt.Sprint(i)})
	}
	return d
}

// withinBound holds the bound for every way to read b, and returns the first error.
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

// TestHeaderBombs holds the bound for headers of 4 MiB that are nothing but one thing again and again.
func TestHeaderBombs(t *testing.T) {
	long := func(what string) string { return strings.Repeat(what, (maxHeader-300)/len(what)) }
	list := func(n int) string { // the beginning of an array of n
		w := pack.NewWriter()
		w.Array(n)
		return string(w.Bytes())
	}
	const before = "\x86\xa4meta\x87\xa5model\xa0\xa6recipe\xa0\xa4data\xa0\xa4seed\x00\xa8versions\x80\xa5input\x84\xa5shape\x90\xa4mean\x90\xa3std\x90\xa7classes\x90\xa5extra\x80"
	for name, c := range map[string]struct{ head, want string }{
		"nothing but arrays":    {long("\x90"), "want a map"},
		"nothing but nesting":   {long("\x91"), "want a map"},
		"programs of nothing":   {before + "\xa8programs" + list(maxHeader-400) + long("\x90"), "more than 131072 lines"},
		"131,072 empty arrays":  {before + "\xa8programs" + list(maxLines) + long("\x90"), "want an array of 2"},
		"programs of one name":  {before + "\xa8programs" + list(maxLines) + long("\x92\xa1a\x90"), "sorted"},
		"tensors of one name":   {before + "\xa8programs\x90\xa7tensors" + list(maxLines) + long("\x93\xa1a\xa2i8\x90"), "sorted"},
		"a rank of millions":    {before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8" + list(maxHeader-400) + long("\x01"), "rank 4193904"},
		"a blob of many chunks": {before + "\xa8programs\x91\x92\xa1a" + list(maxLines-1) + long("\x93\x00\x01\x00"), "only the last may have less"},
		"empty parts":           {before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8\x90\xa5parts" + list(maxLines-1) + long("\x94\x00\xa4rest\x90\x90"), "want a string"},
		"unknown forms":         {before + "\xa8programs\x90\xa7tensors\x91\x93\xa1a\xa2i8\x90\xa5parts" + list(maxLines-1) + long("\x94\x00\xa8::::::::\x90\x90"), "unknown encoding"},
	} {
		if len(c.head) > maxHeader || len(c.head) < maxHeader-400 {
			t.Fatalf("%s: a header of %d bytes", name, len(c.head))
		}
		w := pack.NewWriter()
		w.Bin(binary.LittleEndian.AppendUint32(nil, checksum([]byte(c.head))))
		w.Bin([]byte(c.head))
		err := withinBound(t, name, append([]byte(magic), w.Bytes()...))
		var bad *FormatError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	over := []byte(magic + "\xc4\x04aaaa\xc6\x00\x40\x00\x01" + strings.Repeat("\x00", maxHeader+1))
	if err := withinBound(t, "a header longer than allowed", over); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("a header longer than allowed: error %v", err)
	}
}
