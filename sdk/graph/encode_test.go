package graph_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
)

// everything returns a program with every op of the table.
func everything(t testing.TB) *graph.Program {
	t.Helper()
	b := graph.NewBuilder()
	k := 0
	out := func(ns ...graph.Node) {
		for _, n := range ns {
			b.Output("out"+strings.Repeat("'", k), n)
			k++
		}
	}
	slot := func(name string, dims ...int) graph.Node {
		return b.Slot(graph.Slot{Name: name, Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
	}
	x := b.Input("x", array.F32, graph.Batch(4, 6, 6))
	key := b.Input("key", array.I64, graph.Of(2))
	labels := b.Input("labels", array.I32, graph.Shape{graph.Sym("N")})
	w, gamma, beta := slot("w", 8, 4, 3, 3), slot("gamma", 8), slot("beta", 8)
	mean := b.Slot(graph.Slot{Name: "mean", Kind: graph.Stat, Type: graph.Type{DType: array.F32, Shape: graph.Of(8)}})

	masks := b.TopKMask(100, w, slot("head", 10, 200))
	kept := b.Mask(w, masks[0])
	y := b.Conv2D(x, kept, graph.ConvAttr{Pad: [4]int{1, 1, 1, 1}})
	norm, m, v := b.BatchNorm(y, gamma, beta, 1e-5)
	h := b.Relu(norm)
	h = b.Mask(h, b.Less(b.Uniform(key, 3, array.F32, b.Shape(h)), b.ConstLike(h, 0.5)))
	p := b.MaxPool(h, graph.PoolAttr{Kernel: [2]int{2, 2}})
	p = b.Add(p, b.AvgPool(h, graph.PoolAttr{Kernel: [2]int{2, 2}, CountPad: true}))
	out(b.BatchNormInfer(y, gamma, beta, mean, v, 1e-5), m)
	flat := b.Flatten(p, 1)
	flat = b.Pad(flat, []int{0, 0}, []int{0, 128}, []int{0, 0})
	logits := b.MatMul(flat, b.Mask(slot("head", 10, 200), masks[1]), false, true)
	logits = b.LayerNorm(logits, slot("ln.gamma", 10), slot("ln.beta", 10), 1e-6)
	loss := b.Mean(b.CrossEntropy(logits, labels), false)
	for _, f := range []func(graph.Node) graph.Node{b.Neg, b.Exp, b.Expm1, b.Log, b.Sqrt, b.Tanh, b.Sigmoid, b.Erf, b.Abs, b.Softmax} {
		loss = b.Add(loss, b.Mean(f(logits), false))
	}
	loss = b.Add(loss, b.Mean(b.ReduceMax(b.Div(b.Sub(logits, b.Scale(logits, 0.25)), b.Shift(logits, math.Pi)), true, 1), false))
	loss = b.Add(loss, b.Mean(b.Max(logits, b.Min(logits, b.Scale(logits, 2))), false))
	first := b.Slice(logits, []int{0, 1}, []int{-1, 9}, []int{1, 2})
	loss = b.Add(loss, b.Mean(b.Concat(1, b.Transpose(b.Transpose(first, 1, 0), 1, 0), logits), false))
	table := slot("table", 10, 5)
	loss = b.Add(loss, b.Mean(b.Gather(table, b.ArgMax(logits)), false))
	for i, g := range b.Grad(loss, w, gamma, beta, table, x) {
		if i == 0 {
			b.Update("w", b.Sub(w, g))
			continue
		}
		out(g)
	}
	b.Update("mean", m)
	out(loss, b.NMMask(w, 2, 4, 1), b.BlockMask(7, 4, w)[0], b.Cast(logits, array.F64))
	program, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestProgramRoundTrip(t *testing.T) {
	p := everything(t)
	for _, def := range graph.Ops() {
		if p.Count(def.Op) == 0 {
			t.Errorf("the program lacks %s: add it here", def.Op)
		}
	}
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	q, err := graph.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, q, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); d != "" {
		t.Errorf("program changed (-want +got):\n%s", d)
	}
	again, err := q.Encode()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("encoding is not canonical: %v", err)
	}
	var dynamic map[string]any // any MessagePack library reads it
	if err := msgpack.Unmarshal(b, &dynamic); err != nil || len(dynamic["code"].([]any)) != len(p.Code) {
		t.Errorf("an independent reader: %v", err)
	}
}

// TestAttrKinds holds what the encoder and decoder assume of attribute structs.
func TestAttrKinds(t *testing.T) {
	for _, def := range graph.Ops() {
		if def.Attr == nil {
			continue
		}
		a := reflect.TypeOf(def.Attr)
		for i := range a.NumField() {
			f := a.Field(i)
			switch f.Type {
			case reflect.TypeFor[array.DType](), reflect.TypeFor[graph.Shape](), reflect.TypeFor[string](), reflect.TypeFor[bool](),
				reflect.TypeFor[int](), reflect.TypeFor[float64](), reflect.TypeFor[[]int]():
				continue
			}
			if f.Type.Kind() != reflect.Array || f.Type.Elem() != reflect.TypeFor[int]() {
				t.Errorf("%s: field %s has type %v, which the MessagePack form does not know", def.Op, f.Name, f.Type)
			}
		}
	}
}

// TestResults holds the numbers of results that Program.Encode documents: readers without the table
// number the values by them.
func TestResults(t *testing.T) {
	for _, def := range graph.Ops() {
		for operands := 1; operands <= 3; operands++ {
			want := 1
			switch def.Op {
			case graph.OpBatchNorm, graph.OpBatchNormGrad, graph.OpLayerNorm, graph.OpLayerNormGrad:
				want = 3
			case graph.OpTopKMask, graph.OpBlockMask:
				want = operands
			}
			if got := def.Outs(operands); got != want {
				t.Errorf("%s of %d operands has %d results; Encode documents %d", def.Op, operands, got, want)
			}
		}
	}
}

func TestDecodeTruncated(t *testing.T) {
	b, err := everything(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b); n += 3 {
		if _, err := graph.Decode(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes decode", n, len(b))
		}
	}
	if _, err := graph.Decode(append(b[:len(b):len(b)], 0)); err == nil || !strings.Contains(err.Error(), "1 bytes follow") {
		t.Errorf("a byte too many: %v", err)
	}
}

// TestDecodeFlips holds that a flipped bit is refused or gives another verified program in
// canonical form, never a panic.
func TestDecodeFlips(t *testing.T) {
	b, err := everything(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	// every bit takes seconds and is the fuzzer's work; 11 visits every bit of a byte
	const step = 11
	accepted := 0
	for bit := 0; bit < 8*len(b); bit += step {
		b[bit/8] ^= 1 << (bit % 8)
		if p, err := graph.Decode(b); err == nil {
			accepted++
			if again, err := p.Encode(); err != nil || !bytes.Equal(b, again) {
				t.Errorf("bit %d: decodes, but encodes to something else: %v", bit, err)
			}
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	t.Logf("%d of %d flips give another program", accepted, 8*len(b)/step)
}

func TestDecodeRefuses(t *testing.T) {
	text := func(code []any, inputs, slots, outputs, updates []any) []byte {
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		field := func(k string, v any) {
			if err := e.EncodeMulti(k, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.EncodeMapLen(6); err != nil {
			t.Fatal(err)
		}
		field("version", 1)
		field("code", code)
		field("inputs", inputs)
		field("slots", slots)
		field("outputs", outputs)
		field("updates", updates)
		return buf.Bytes()
	}
	type list = []any
	source := func(op, name string, shape ...any) list {
		var buf bytes.Buffer
		e := msgpack.NewEncoder(&buf)
		e.UseCompactInts(true)
		_ = e.EncodeMapLen(3)
		_ = e.EncodeMulti("name", name, "dtype", "f32", "shape", shape)
		return list{op, list{}, msgpack.RawMessage(buf.Bytes())}
	}
	x := source("input", "x", list{1, "N"}, 4)
	empty := list{}
	if _, err := graph.Decode(text(list{x}, list{"x"}, empty, list{list{"y", 0}}, empty)); err != nil {
		t.Fatalf("valid: %v", err)
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"op":              {text(list{list{"launch", empty, nil}}, empty, empty, empty, empty), `unknown op "launch"`},
		"operand":         {text(list{x, list{"relu", list{1}, nil}}, list{"x"}, empty, empty, empty), "from 0 to 0, got 1"},
		"arity":           {text(list{x, list{"relu", list{0, 0}, nil}}, list{"x"}, empty, empty, empty), "takes 1 operands, got 2"},
		"attribute":       {text(list{x, list{"relu", list{0}, 3}}, list{"x"}, empty, empty, empty), "has no attribute"},
		"types":           {text(list{x, list{"count", list{0}, map[string]any{}}}, list{"x"}, empty, empty, empty), "fields of ReduceAttr"},
		"extent":          {text(list{source("input", "x", 0)}, list{"x"}, empty, empty, empty), "from 1 to"},
		"product":         {text(list{source("input", "x", 1<<30, 1<<30)}, list{"x"}, empty, empty, empty), "out of range"},
		"symbols":         {text(list{source("input", "x", list{1, "T*N"})}, list{"x"}, empty, empty, empty), "not sorted"},
		"symbol name":     {text(list{source("input", "x", list{1, "N T"})}, list{"x"}, empty, empty, empty), "names of letters"},
		"unprintable":     {text(list{source("input", "\x1b[2J", 1)}, list{"\x1b[2J"}, empty, empty, empty), "not printable"},
		"twice":           {text(list{x, x}, list{"x"}, empty, empty, empty), "declared twice"},
		"undeclared":      {text(list{x}, list{"z"}, empty, empty, empty), "not declared"},
		"symbolic slot":   {text(list{source("slot", "s", list{1, "N"})}, empty, list{list{"s", "param", "other"}}, empty, empty), "want a constant shape"},
		"role":            {text(list{source("slot", "s", 2)}, empty, list{list{"s", "param", "boss"}}, empty, empty), `unknown word "boss"`},
		"output":          {text(list{x}, list{"x"}, empty, list{list{"y", 9}}, empty), "from 0 to 0"},
		"update":          {text(list{x, source("slot", "s", 2)}, list{"x"}, list{list{"s", "param", "other"}}, empty, list{list{"s", 0}}), "update of slot"},
		"nothing":         {nil, "at byte 0"},
		"array bomb":      {[]byte{0xdd, 0xff, 0xff, 0xff, 0xff}, "want a map"},
		"instr bomb":      {append([]byte("\x86\xa7version\x01\xa4code"), 0xdd, 0xff, 0xff, 0xff, 0xff), "does not fit"},
		"future version":  {[]byte("\x86\xa7version\x02\xa4code\x90"), "version 2"},
		"long form":       {[]byte("\x86\xa7version\xcc\x01\xa4code\x90"), "shortest form"},
		"too large a map": {[]byte("\x87\xa7version\x01\xa4code\x90"), "want a map of the 6 fields"},
	} {
		if _, err := graph.Decode(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestDecodeMemory holds that a program takes no more than 64 MiB plus twice its bytes, refused or
// not, and its errors a few lines.
func TestDecodeMemory(t *testing.T) {
	zeros := func(n int) []int { return make([]int, n) }
	ones := slices.Repeat([]int{1}, 16)
	attr := func(fields ...any) msgpack.RawMessage {
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.UseCompactInts(true)
		if err := errors.Join(e.EncodeMapLen(len(fields)/2), e.EncodeMulti(fields...)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		rank, times int
		instr       []any
		want        string
	}{
		"many instructions":            {4, 65535, []any{"neg", zeros(1), nil}, ""},
		"too many":                     {4, 65536, []any{"neg", zeros(1), nil}, "the limit is 65536"},
		"many of rank 16":              {16, 65535, []any{"neg", zeros(1), nil}, "more than 262144 axes"},
		"many with a long attribute":   {0, 65535, []any{"broadcast", zeros(1), attr("shape", ones)}, "more than 262144 axes"},
		"many operands":                {1, 1, []any{"topk_mask", zeros(131072), attr("keep", 1)}, ""},
		"too many operands":            {1, 1, []any{"topk_mask", zeros(131073), attr("keep", 1)}, "more than 131072 operands"},
		"many operands that are wrong": {16, 1, []any{"topk_mask", zeros(131072), attr("keep", -1)}, "and 131068 more"},
		"constants of 64 MiB":          {1, 1, []any{"const", zeros(0), attr("dtype", "f32", "shape", []int{1 << 24}, "value", 1.5)}, ""},
		"constants of more":            {1, 2, []any{"const", zeros(0), attr("dtype", "f32", "shape", []int{1 << 24}, "value", 1.5)}, "constants of more than 67108864 bytes"},
		"many operands of rank 16":     {16, 1, []any{"concat", zeros(131072), attr("axis", 99)}, "and 131068 more"},
	} {
		var b bytes.Buffer
		e := msgpack.NewEncoder(&b)
		e.UseCompactInts(true)
		slot := attr("name", "s", "dtype", "f32", "shape", ones[:c.rank])
		err := errors.Join(e.EncodeMapLen(6), e.EncodeMulti("version", 1, "code"), e.EncodeArrayLen(1+c.times), e.Encode([]any{"slot", zeros(0), slot}))
		for range c.times {
			err = errors.Join(err, e.Encode(c.instr))
		}
		err = errors.Join(err, e.EncodeMulti("inputs", zeros(0), "slots", []any{[]any{"s", "param", "other"}}, "outputs", zeros(0), "updates", zeros(0)))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = graph.Decode(b.Bytes())
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20+2*uint64(b.Len()) {
			t.Errorf("%s: %d bytes decode in %d", name, b.Len(), used)
		}
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000) {
			t.Errorf("%s: error %.1000v, want one with %q", name, err, c.want)
		}
	}
}

// FuzzDecode holds that bytes which decode are those that the program encodes to. Its seeds are a
// program with every op, and small ones in which a changed byte is more likely to leave a program.
func FuzzDecode(f *testing.F) {
	small := func(build func(b *graph.Builder)) *graph.Program {
		b := graph.NewBuilder()
		build(b)
		p, err := b.Program()
		if err != nil {
			f.Fatal(err)
		}
		return p
	}
	weight := func(b *graph.Builder, dims ...int) graph.Node {
		return b.Slot(graph.Slot{Name: "w", Role: graph.Kernel, Type: graph.Type{DType: array.F32, Shape: graph.Of(dims...)}})
	}
	for _, p := range []*graph.Program{
		everything(f),
		small(func(b *graph.Builder) { b.Output("y", b.Relu(b.Input("x", array.F32, graph.Batch(4)))) }),
		small(func(b *graph.Builder) {
			y := b.Conv2D(b.Input("x", array.F32, graph.Batch(4, 6, 6)), weight(b, 8, 4, 3, 3), graph.ConvAttr{Pad: [4]int{1, 1, 1, 1}})
			b.Output("y", b.MaxPool(y, graph.PoolAttr{Kernel: [2]int{2, 2}}))
		}),
		small(func(b *graph.Builder) {
			w := weight(b, 2, 8)
			b.Update("w", b.Mask(w, b.NMMask(w, 2, 4, 1)))
		}),
		small(func(b *graph.Builder) {
			x := b.Input("x", array.F32, graph.Shape{graph.Sym("N"), graph.Sym("T"), graph.Dim{C: 2}})
			b.Output("y", b.Concat(2, b.Slice(x, []int{0, 0, 0}, []int{-1, -1, 1}, []int{1, 1, 1}), b.Slice(x, []int{0, 0, 1}, []int{-1, -1, 2}, []int{1, 1, 1})))
		}),
	} {
		b, err := p.Encode()
		if err == nil {
			_, err = graph.Decode(b)
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := graph.Decode(b)
		if err != nil {
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(b, again) {
			t.Fatalf("decodes, but encodes to something else: %v", err)
		}
	})
}
