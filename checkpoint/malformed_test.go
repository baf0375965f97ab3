package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// small returns a file of about 1.5 kB with parts of every encoding, a program and a state.
func small(t testing.TB) *File {
	t.Helper()
	w := random(t, 1, 2, 8, 3)
	few := topK(t, w, .9)
	thin, err := decoded(t, few).Encode(array.Index16)
	if err != nil {
		t.Fatal(err)
	}
	level := func(name string, v array.Value) Level {
		return Level{Name: name, Tensors: map[string]array.Value{"w": v}}
	}
	return &File{
		Info: Info{Model: "tiny", Inputs: []Port{{Name: "x", DType: array.F32, Shape: graph.Batch(8), Mean: []float32{.5}, Std: []float32{.25}}},
			Outputs: []Port{{Name: "logits", DType: array.F32, Shape: graph.Batch(1), Classes: []string{"cat"}}}},
		Programs: map[string]*graph.Program{"infer": tinyProgram(t)},
		Levels:   []Level{level("dense", array.DenseValue(w)), level("topk:0.5", topK(t, w, .5)), level("topk:0.9", thin), level("nm:2:4", twoOfFour(t, w))},
		State:    &State{Ints: map[string]int64{"step": 3}, Tensors: map[string]array.Value{"m": twoOfFour(t, w)}},
	}
}

func decoded(t testing.TB, v array.Value) array.Tensor {
	t.Helper()
	x, err := v.Decode()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// readAll reads and checks a whole file.
func readAll(b []byte) error {
	r, err := NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	return r.Verify()
}

// sealed writes f with a header that change has changed, and with right checksums.
func sealed(t testing.TB, f *File, change func(h *header)) []byte {
	t.Helper()
	return resealed(t, f, func(head []byte) []byte {
		h, _, err := decodeHeader(version, head)
		if err != nil {
			t.Fatal(err)
		}
		change(h)
		return h.encode()
	})
}

// resealed is sealed for a change of the bytes of the header.
func resealed(t testing.TB, f *File, change func(head []byte) []byte) []byte {
	t.Helper()
	b := write(t, f)
	r := read(t, b)
	var all blob
	r.head.blobs(func(b *blob) { all = append(all, *b...) })
	head := change(r.head.encode())
	w := pack.NewWriter()
	w.Bin(binary.LittleEndian.AppendUint32(nil, checksum(head)))
	w.Bin(head)
	out := append([]byte(magic+"\x02"), w.Bytes()...)
	end := int64(len(out))
	out = append(out, gap(all[0], end, dataStart(end))...)
	return append(out, b[r.data:]...)
}

// refused requires that b is refused with an error that contains want, within the limit of memory.
// With -attacks it writes b as an attack.
func refused(t *testing.T, name string, b []byte, want string) {
	t.Helper()
	if *attacks != "" {
		writeAttack(t, name, b)
	}
	err := readAll(b)
	var bad *FormatError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error %v, want one with %q", name, err, want)
	}
	if withinBound(t, name, b) == nil {
		t.Errorf("%s: Verify refuses it, loading does not", name)
	}
}

// TestMalformedHeaders changes the header of a small file in one way, with right checksums.
func TestMalformedHeaders(t *testing.T) {
	if err := readAll(sealed(t, small(t), func(*header) {})); err != nil {
		t.Fatalf("the unchanged file: %v", err)
	}
	// Parts of small: 0 index16, 1 bitmask, 2 rest, 3 mask. Levels: dense [0 1 2], topk:0.5 [0 1],
	// topk:0.9 [0], nm [0 1 2 3].
	for name, c := range map[string]struct {
		change func(h *header)
		want   string
	}{
		"overlapping chunks":      {func(h *header) { h.parts[1].values[0].off -= 64 }, "a chunk at offset"},
		"a hole":                  {func(h *header) { h.parts[2].values[0].off += 64 }, "a chunk at offset"},
		"a shorter chunk":         {func(h *header) { h.parts[2].values[0].n -= 4 }, ""},
		"an empty chunk":          {func(h *header) { h.code[0][0].n = 0 }, "from 1 to"},
		"unsorted chunks":         {func(h *header) { p := &h.parts[1]; p.index[0].off, p.values[0].off = p.values[0].off, p.index[0].off }, "a chunk at offset"},
		"a chunk of 2³²-1":        {func(h *header) { h.parts[1].values[0].n = math.MaxUint32 }, "from 1 to"},
		"a short rest":            {func(h *header) { h.parts[2].values[0].n -= 4 }, "the rest has"},
		"a mask over some":        {func(h *header) { h.levels[3].entries[0].parts = []int{0, 1, 3} }, "makes no tensor"},
		"some as all":             {func(h *header) { e := &h.levels[1].entries[0]; e.encoding.kind, e.stored = dense, 48 }, "do not make"},
		"negative offset":         {func(h *header) { h.code[0][0].off = -64 }, "want 0"},
		"product overflow":        {func(h *header) { h.tensors[0].dims = []int{1 << 32, 1 << 32} }, "more than"},
		"zero extent":             {func(h *header) { h.tensors[0].dims = []int{0} }, "from 1"},
		"other extents":           {func(h *header) { h.tensors[0].dims = []int{2, 8, 4} }, "do not fit"},
		"other type":              {func(h *header) { h.tensors[0].dtype = array.F64 }, "do not fit"},
		"bits, sparse":            {func(h *header) { h.tensors[0].dtype = array.Bit }, "do not fit"},
		"rank":                    {func(h *header) { h.tensors[0].dims = make([]int, 17) }, "rank 17"},
		"no such tensor":          {func(h *header) { h.parts[0].number = 1 }, "from 0 to 0"},
		"no such part":            {func(h *header) { h.levels[0].entries[0].parts = []int{0, 9} }, "to 3, got 9"},
		"a part twice":            {func(h *header) { h.levels[1].entries[0].parts = []int{0, 0} }, "from 1 to"},
		"a part left out":         {func(h *header) { h.levels[3].entries[0].parts = []int{0, 1, 2} }, "part 3 is in no level"},
		"rest without the others": {func(h *header) { h.levels[0].entries[0].parts = []int{2} }, "makes no tensor"},
		"rest after too little":   {func(h *header) { h.levels[0].entries[0].parts = []int{0, 2} }, "the rest has"},
		"rest as mask":            {func(h *header) { h.parts[2].encoding.kind = masked }, "do not fit"},
		"mask as dense":           {func(h *header) { h.parts[3].encoding.kind = dense }, "do not fit"},
		"mask first":              {func(h *header) { h.levels[3].entries[0].parts = []int{3} }, "makes no tensor"},
		"no parts":                {func(h *header) { h.levels[2].entries[0].parts = nil }, "of 0 parts"},
		"result is rest":          {func(h *header) { h.levels[0].entries[0].encoding.kind = rest }, "not an encoding of a whole"},
		"wrong count":             {func(h *header) { h.levels[1].entries[0].stored++ }, "cannot have"},
		"wrong count, rest":       {func(h *header) { e := &h.levels[0].entries[0]; e.encoding.kind, e.stored = bitmask, 47 }, "the table of contents says"},
		"wrong count, one part":   {func(h *header) { h.levels[2].entries[0].stored++ }, "cannot have"},
		"wrong form, one part":    {func(h *header) { h.levels[2].entries[0].encoding.kind = bitmask }, "its one part is"},
		"wrong N:M":               {func(h *header) { h.levels[3].entries[0].encoding = encoding{grouped, 1, 4, 1} }, "has 2 that are not zero"},
		"N:M on no axis":          {func(h *header) { h.levels[3].entries[0].encoding = encoding{grouped, 2, 4, 7} }, "does not fit"},
		"N:M of a gigantic M":     {func(h *header) { h.state.parts[0].encoding = encoding{grouped, math.MaxInt, math.MaxInt, 0} }, "do not fit"},
		"N:M of nothing":          {func(h *header) { h.state.parts[0].encoding = encoding{grouped, 0, 0, 0} }, "do not fit"},
		"state as mask":           {func(h *header) { h.state.parts[0].encoding = encoding{kind: masked} }, "do not fit encoding mask"},
		"two levels of a name":    {func(h *header) { h.levels[1].name = "dense" }, "two levels"},
		"a level without a name":  {func(h *header) { h.levels[0].name = "" }, "want 1 to 255"},
		"a terminal escape":       {func(h *header) { h.levels[0].name = "\x1b[2J" }, "not printable"},
		"a NUL":                   {func(h *header) { h.levels[0].name = "dense\x00" }, "not printable"},
		"a newline":               {func(h *header) { h.tensors[0].name = "w\nnet.cram: intact" }, "not printable"},
		"text that runs backward": {func(h *header) { h.programs[0].name = "\u202emarc" }, "not printable"},
		"a space of no width":     {func(h *header) { h.info.Outputs[0].Classes[0] = "\u200bcat" }, "not printable"},
		"a name too long":         {func(h *header) { h.levels[0].name = strings.Repeat("x", 256) }, "limit here is 255"},
		"not UTF-8":               {func(h *header) { h.tensors[0].name = "\xff" }, "UTF-8"},
		"a program twice":         {func(h *header) { h.programs = append(h.programs, h.programs[0]) }, "want them sorted"},
		"a tensor twice":          {func(h *header) { h.tensors = append(h.tensors, h.tensors[0]) }, "want them sorted"},
		"a tensor of no level":    {func(h *header) { h.tensors = append(h.tensors, tensor{"x", array.F32, nil}) }, "has no parts"},
		"a huge stack":            {func(h *header) { h.tensors[0].dims = []int{1 << 30} }, "do not fit"},
		"mean without std":        {func(h *header) { h.info.Inputs[0].Std = nil }, "std has 0"},
		"mean that is NaN":        {func(h *header) { h.info.Inputs[0].Mean[0] = float32(math.NaN()) }, "finite"},
		"a class without a name":  {func(h *header) { h.info.Outputs[0].Classes[0] = "" }, "want 1 to 255"},
		"code of no program":      {func(h *header) { h.programs = nil }, "code 0 belongs to no program"},
	} {
		refused(t, name, sealed(t, small(t), c.change), c.want)
	}
}

func TestNameTwiceInALevel(t *testing.T) {
	f := small(t)
	f.Levels = []Level{
		{Name: "a", Tensors: map[string]array.Value{"w": array.DenseValue(random(t, 1, 4))}},
		{Name: "b", Tensors: map[string]array.Value{"w": array.DenseValue(random(t, 1, 8))}},
	}
	err := readAll(sealed(t, f, func(h *header) {
		h.levels[0].entries = append(h.levels[0].entries, h.levels[1].entries...)
	}))
	if err == nil || !strings.Contains(err.Error(), `has tensor "w" twice`) {
		t.Error(err)
	}
}

// TestMalformedParts changes the content of parts, with right checksums.
func TestMalformedParts(t *testing.T) {
	f := small(t)
	p, err := newWriting(f)
	if err != nil {
		t.Fatal(err)
	}
	part := func(k int) (index, values []byte) {
		index, values, err := p.sources[len(p.head.programs)+k]()
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(index), bytes.Clone(values)
	}
	thin, thinValues := part(0)
	half, halfValues := part(1)
	for name, c := range map[string]struct {
		k             int
		index, values []byte
		want          string
	}{
		"a zero in a stack":     {1, half, append(make([]byte, 4), halfValues[4:]...), "stores a zero"},
		"a zero at its bottom":  {0, thin, append(make([]byte, 4), thinValues[4:]...), "stores a zero"},
		"an element twice":      {1, withBit(half, int(thin[4])), halfValues, "store element"},
		"an offset out of run":  {0, append(bytes.Clone(thin[:len(thin)-2]), 48, 0), thinValues, "ascending below 48"},
		"a count that is wrong": {0, append([]byte{9, 0, 0, 0}, thin[4:]...), thinValues, "holds 9"},
	} {
		q, err := newWriting(f)
		if err != nil {
			t.Fatal(err)
		}
		q.sources[len(p.head.programs)+c.k] = func() ([]byte, []byte, error) { return c.index, c.values, nil }
		q.head.parts[c.k].index[0].crc = checksum(c.index)
		q.head.parts[c.k].values[0].crc = checksum(c.values)
		var out bytes.Buffer
		if err := q.write(&out, q.head.encode()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		refused(t, name, out.Bytes(), c.want)
	}
}

// withBit returns mask with bit i set and its last other bit cleared.
func withBit(mask []byte, i int) []byte {
	mask = bytes.Clone(mask)
	for k := len(mask)*8 - 1; k >= 0; k-- {
		if k != i && mask[k/8]>>(k%8)&1 == 1 {
			mask[k/8] &^= 1 << (k % 8)
			break
		}
	}
	mask[i/8] |= 1 << (i % 8)
	return mask
}

func TestWriterRefuses(t *testing.T) {
	w := array.DenseValue(random(t, 1, 4))
	wrong := w
	wrong.Dims = []int{5}
	level := func(name string, v array.Value) Level {
		return Level{Name: name, Tensors: map[string]array.Value{"w": v}}
	}
	for name, c := range map[string]struct {
		f    *File
		want string
	}{
		"a broken value":      {&File{Levels: []Level{level("a", wrong)}}, `level "a", tensor "w"`},
		"two levels":          {&File{Levels: []Level{level("a", w), level("a", w)}}, "two levels"},
		"an unprintable name": {&File{Levels: []Level{level("\n", w)}}, "not printable"},
		"a nil program":       {&File{Programs: map[string]*graph.Program{"infer": nil}}, `program "infer" is nil`},
		"a long text":         {&File{Info: Info{Recipe: strings.Repeat("x", maxText+1)}}, "limit"},
		"a broken state":      {&File{State: &State{Tensors: map[string]array.Value{"m": wrong}}}, `state, tensor "m"`},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.f); err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want one with %q and none", name, err, out.Len(), c.want)
		}
	}
}
