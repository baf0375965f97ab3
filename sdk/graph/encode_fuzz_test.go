package graph_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// FuzzCode grows programs instruction by instruction, each drawn from the fuzzed bytes: any op, any
// operands, and attributes of well-formed but often absurd numbers. So the decoder gets past
// MessagePack to every shape rule. An instruction that is refused is left out; what is accepted
// must be bounded, and encode to the same bytes.
func FuzzCode(f *testing.F) {
	for _, b := range dice() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { grow(t, b) })
}

func dice() (throws [][]byte) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		b := make([]byte, 1000)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		throws = append(throws, b)
	}
	return throws
}

// TestDice holds that the seeds of FuzzCode lead to accepted programs of two thirds of the ops.
func TestDice(t *testing.T) {
	seen := map[graph.Op]int{}
	for _, b := range dice() {
		for _, i := range grow(t, b).Code {
			seen[i.Op]++
		}
	}
	t.Log(seen)
	if n := len(graph.Ops()); 3*len(seen) < 2*n {
		t.Errorf("%d of %d ops are met: %v", len(seen), n, seen)
	}
}

// grow returns the program that dice make, empty when they make none.
func grow(t *testing.T, dice []byte) *graph.Program {
	g, last, form := growing{dice: dice}, &graph.Program{}, []byte(nil)
	for len(g.dice) > 0 && len(g.code) < 24 {
		next := g
		next.instr(t)
		b := next.program(t)
		p, err := graph.Decode(b)
		if err != nil {
			g.dice = next.dice
			continue
		}
		g, last, form = next, p, b
		for id, x := range p.Types[len(g.types):] {
			n := 1.0
			for _, d := range x.Shape {
				n *= float64(d.C)
				if d.C < 1 || n > 1<<46 {
					t.Fatalf("value %d is %v in\n%v", len(g.types)+id, x, p)
				}
			}
		}
		g.types = p.Types
	}
	if again, err := last.Encode(); form != nil && (err != nil || !bytes.Equal(again, form)) {
		t.Fatalf("decodes, but encodes to something else: %v\n%v", err, last)
	}
	return last
}

// growing is a program that grows.
type growing struct {
	dice          []byte // what is left of them
	code          []any
	inputs, slots []string
	types         []graph.Type // of the values that the code computes
	rank          int          // of the first operand of the present instruction
	tame          int          // its numbers are below this one; 0: they are absurd
}

// draw takes a number from 0 to n-1.
func (g *growing) draw(n int) int {
	if len(g.dice) == 0 || n == 0 {
		return 0
	}
	x := int(g.dice[0]) % n
	g.dice = g.dice[1:]
	return x
}

// number takes an integer, mostly a small one.
func (g *growing) number() int {
	if g.tame > 0 {
		return g.draw(g.tame)
	}
	few := []int64{0, 1, 2, 3, 4, 5, 6, 8, 1, 2, 1, -1, 100, 1 << 16, 1 << 30, 1 << 31, -1 << 31, 1<<31 - 1}
	return int(few[g.draw(len(few))])
}

func (g *growing) instr(t *testing.T) {
	ops := graph.Ops()
	def := ops[g.draw(len(ops))]
	if len(g.types) == 0 { // something to begin with
		def = opNamed(ops, []graph.Op{graph.OpInput, graph.OpSlot}[g.draw(2)])
	}
	n := def.Arity
	if n == -1 {
		n = 1 + g.draw(3)
	}
	in := make([]int, n)
	for i := range in {
		in[i] = max(0, len(g.types)-1-g.draw(8)) // late ones, so that rules meet
	}
	g.tame = []int{0, 2, 2, 3, 3, 5}[g.draw(6)]
	if g.rank = g.draw(6); n > 0 && g.draw(4) > 0 {
		g.rank = len(g.types[in[0]].Shape)
	}
	name := fmt.Sprint("v", len(g.code))
	switch def.Op {
	case graph.OpInput:
		g.inputs = append(g.inputs[:len(g.inputs):len(g.inputs)], name)
	case graph.OpSlot:
		g.slots = append(g.slots[:len(g.slots):len(g.slots)], name)
	}
	g.code = append(g.code[:len(g.code):len(g.code)], []any{string(def.Op), in, g.attr(t, def.Attr, name)})
}

func opNamed(ops []graph.Def, op graph.Op) graph.Def {
	return ops[slices.IndexFunc(ops, func(d graph.Def) bool { return d.Op == op })]
}

// attr draws an attribute like the given one, as MessagePack.
func (g *growing) attr(t *testing.T, like graph.Attr, name string) any {
	if like == nil {
		return nil
	}
	kind := reflect.TypeOf(like)
	return encoded(t, func(e *msgpack.Encoder) error {
		err := e.EncodeMapLen(kind.NumField())
		for i := range kind.NumField() {
			err = errors.Join(err, e.EncodeMulti(fieldName(kind.Field(i)), g.field(kind.Field(i).Type, name)))
		}
		return err
	})
}

// fieldName writes CountPad as count_pad, unless its tag says otherwise.
func fieldName(f reflect.StructField) string {
	if tag := f.Tag.Get("graph"); tag != "" {
		return tag
	}
	s := f.Name
	if s == "DType" {
		return "dtype"
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

func (g *growing) field(kind reflect.Type, name string) any {
	list := func(n int) []int {
		xs := make([]int, n)
		for i := range xs {
			xs[i] = g.number()
		}
		return xs
	}
	switch {
	case kind == reflect.TypeFor[array.DType]():
		return []array.DType{array.F32, array.F32, array.F32, array.F64, array.Bit, array.I32, array.I64, array.I8, array.F16, array.BF16}[g.draw(10)].String()
	case kind == reflect.TypeFor[graph.Shape]():
		shape := make([]any, []int{0, 1, 2, 4, 4, 4, 3, 5}[g.draw(8)])
		for i := range shape {
			if shape[i] = g.number(); g.draw(4) == 0 {
				shape[i] = []any{shape[i], []string{"N", "T", "N*T", "N*N"}[g.draw(4)]}
			}
		}
		return shape
	case kind.Kind() == reflect.String:
		return name
	case kind.Kind() == reflect.Bool:
		return g.draw(2) == 1
	case kind.Kind() == reflect.Int:
		return g.number()
	case kind.Kind() == reflect.Float64:
		return []float64{0, 1, -1, .5, 1e300, math.Inf(1), math.NaN()}[g.draw(7)]
	case kind.Kind() == reflect.Array:
		return list(kind.Len())
	}
	return list(g.rank)
}

// program returns the program in its MessagePack form, its last value being its output.
func (g *growing) program(t *testing.T) []byte {
	slots := []any{}
	for _, s := range g.slots {
		slots = append(slots, []any{s, "param", "kernel"})
	}
	return encoded(t, func(e *msgpack.Encoder) error {
		return errors.Join(e.EncodeMapLen(6), e.EncodeMulti("version", 1, "code", g.code, "inputs", append([]string{}, g.inputs...), "slots", slots, "outputs", []any{}, "updates", []any{}))
	})
}

func encoded(t *testing.T, encode func(e *msgpack.Encoder) error) msgpack.RawMessage {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	e.UseCompactInts(true)
	if err := encode(e); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
