package graph

import (
	"fmt"
	"math"

	"github.com/compressaware/cram/internal/pack"
)

// version is the version of programs in MessagePack. Another one is an error.
const version = 1

// Bounds of a program in MessagePack. They also bound what it decodes to.
const (
	maxProgramBytes = 8 << 20
	maxInstrs       = 1 << 16
	maxOperands     = 1 << 17 // of all instructions
	maxAxes         = 1 << 18 // of all values
	maxConstants    = 1 << 26 // bytes of all constants, every symbol being 1
	maxRank         = 16
	// of a dimension or an attribute: no shape rule overflows
	maxInt = min(1<<31, math.MaxInt)
)

// Encode returns the program in MessagePack, the same bytes for equal programs. It verifies first.
//
//	{"version": 1,
//	 "code":    [[op, [operand…], attribute or nil]…],
//	 "inputs":  [name…],                of each instruction "input", in the order of a run's tensors
//	 "slots":   [[name, kind, role]…],  of each instruction "slot"
//	 "outputs": [[name, value]…],
//	 "updates": [[slot name, value]…]}
//
// An op is the text of a constant of [Op]; [Ops] has its operands and its meaning. Operands,
// outputs and updates are numbers of values. Values are numbered from 0 in the order in which the
// code computes them: one for each instruction, but three for batch_norm, batch_norm_grad,
// layer_norm and layer_norm_grad, and one for each operand for topk_mask and block_mask. Types
// follow from the code and are not stored. A kind is "param", "stat", "moment" or "scratch", a role
// "other", "kernel", "embedding", "norm" or "bias".
//
// An attribute is a map of all fields of the op's struct, in order. The name of a field is its
// graph tag, or else its Go name in lower case with "_" before each capital but the first: TransA
// is "trans_a"; DType is "dtype". Floats have 64 bits, a DType is its text ("f32"), a Shape and a
// list of integers are arrays. A dimension of a shape is an integer, or [c, symbols] for c times
// the product of symbols, sorted and joined by "*": [1, "N"], [64, "N*T"].
//
// Integers and lengths have their shortest form, an unsigned one unless they are negative. Names
// are 1 to 255 bytes of printable characters. A program has at most 8 MiB, 65,536 instructions,
// 131,072 operands, 262,144 axes of values and, with every symbol 1, 64 MiB of constants and 2⁴⁶
// elements in a value. A shape or a list has at most 16 entries, and an integer a magnitude of at
// most 2³¹.
func (p *Program) Encode() ([]byte, error) {
	if err := p.Verify(); err != nil {
		return nil, err
	}
	w := pack.NewWriter()
	w.Map(6)
	w.String("version")
	w.Int(version)
	w.String("code")
	w.Array(len(p.Code))
	for _, i := range p.Code {
		w.Array(3)
		w.String(string(i.Op))
		w.Array(len(i.In))
		for _, x := range i.In {
			w.Int(int64(x))
		}
		encodeAttr(w, i.Attr)
	}
	w.String("inputs")
	w.Array(len(p.Inputs))
	for _, x := range p.Inputs {
		w.String(x.Name)
	}
	w.String("slots")
	w.Array(len(p.Slots))
	for _, s := range p.Slots {
		w.Array(3)
		w.String(s.Name)
		w.String(s.Kind.String())
		w.String(s.Role.String())
	}
	w.String("outputs")
	w.Array(len(p.Outputs))
	for _, x := range p.Outputs {
		encodePort(w, x.Name, x.ID)
	}
	w.String("updates")
	w.Array(len(p.Updates))
	for _, x := range p.Updates {
		encodePort(w, x.Slot, x.ID)
	}
	// Decode has further rules: names are printable, ranks and dimensions are bounded.
	if _, err := Decode(w.Bytes()); err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}

func encodePort(w *pack.Writer, name string, id ID) {
	w.Array(2)
	w.String(name)
	w.Int(int64(id))
}

// Decode is the inverse of [Program.Encode]. It is safe for bytes of any origin: the program that
// it returns is verified and within the bounds that Encode states. Bytes that Encode does not write
// are an error, which has their offset.
func Decode(b []byte) (*Program, error) {
	if len(b) > maxProgramBytes {
		return nil, fmt.Errorf("graph: decode program: %d bytes, the limit is %d", len(b), maxProgramBytes)
	}
	d := decoder{r: pack.NewReader(b), inputs: map[string]ID{}, slots: map[string]ID{}}
	d.program()
	if err := d.r.End(); err != nil {
		return nil, fmt.Errorf("graph: decode program: %w", err)
	}
	if err := d.p.verify(); err != nil {
		return nil, fmt.Errorf("graph: decode program: %w", err)
	}
	return &d.p, nil
}

type decoder struct {
	r             *pack.Reader
	p             Program
	reads         int           // operands so far
	axes          int           // of values so far
	constants     int64         // their bytes so far
	inputs, slots map[string]ID // declared by the code
}

func (d *decoder) program() {
	r, p := d.r, &d.p
	r.Fields("version", "code", "inputs", "slots", "outputs", "updates")
	if v := r.Int(); v != version && r.Err() == nil {
		r.Fail("version %d of programs, want %d", v, version)
	}
	r.Key("code")
	n := r.Array()
	if n > maxInstrs {
		r.Fail("%d instructions, the limit is %d", n, maxInstrs)
		return
	}
	p.Code = make([]Instr, 0, n)
	for range n {
		if d.instr(); r.Err() != nil {
			return
		}
	}
	r.Key("inputs")
	for range d.edges("inputs", len(d.inputs)) {
		name := r.Name()
		p.Inputs = append(p.Inputs, Port{name, d.declared(d.inputs, name)})
	}
	r.Key("slots")
	for range d.edges("slots", len(d.slots)) {
		r.ArrayOf(3)
		s := Slot{Name: r.Name(), Kind: word[SlotKind](r, numKinds), Role: word[Role](r, numRoles)}
		if id := d.declared(d.slots, s.Name); r.Err() == nil {
			s.Type = p.Types[id]
		}
		p.Slots = append(p.Slots, s)
	}
	r.Key("outputs")
	for range d.edges("outputs", len(p.Types)) {
		name, id := d.port()
		p.Outputs = append(p.Outputs, Port{name, id})
	}
	r.Key("updates")
	for range d.edges("updates", len(d.slots)) {
		name, id := d.port()
		p.Updates = append(p.Updates, Update{name, id})
	}
}

// edges takes the length of a list of at most most entries.
func (d *decoder) edges(what string, most int) int {
	n := d.r.Array()
	if n > most {
		d.r.Fail("%d %s, the code allows %d", n, what, most)
		return 0
	}
	return n
}

func (d *decoder) declared(in map[string]ID, name string) ID {
	id, ok := in[name]
	if !ok {
		d.r.Fail("%q is not declared in the code", name)
	}
	return id
}

func (d *decoder) port() (string, ID) {
	d.r.ArrayOf(2)
	return d.r.Name(), d.id()
}

// id takes the number of a value that is already computed.
func (d *decoder) id() ID { return ID(d.r.IntIn(0, int64(len(d.p.Types))-1)) }

// word takes the text of one of the first n values of T.
func word[T interface {
	~uint8
	String() string
}](r *pack.Reader, n T) T {
	s := r.String(pack.MaxName)
	for v := range n {
		if v.String() == s {
			return v
		}
	}
	r.Fail("unknown word %.64q", s)
	return 0
}

// instr takes one instruction and computes the types of its results.
func (d *decoder) instr() {
	r, p := d.r, &d.p
	r.ArrayOf(3)
	i := Instr{Op: Op(r.String(pack.MaxName))}
	def, ok := table[i.Op]
	if !ok {
		r.Fail("unknown op %.64q", i.Op)
	}
	types := d.operands(&i, def)
	i.Attr = decodeAttr(r, def.Attr)
	if r.Err() != nil {
		return
	}
	out, err := def.infer(types, i.Attr)
	if err != nil {
		r.Fail("%s%v: %v", i.Op, listed(types), err)
		return
	}
	i.Out = make([]ID, len(out))
	for j, t := range out {
		if err := d.admit(i.Op, t); err != nil {
			r.Fail("%s%v: result %v: %v", i.Op, listed(types), t, err)
			return
		}
		i.Out[j] = ID(len(p.Types))
		p.Types = append(p.Types, t)
	}
	if s, ok := i.Attr.(SourceAttr); ok {
		seen := d.inputs
		if i.Op == OpSlot {
			seen = d.slots
		}
		if _, dup := seen[s.Name]; dup {
			r.Fail("%s %q is declared twice", i.Op, s.Name)
		}
		seen[s.Name] = i.Out[0]
	}
	p.Code = append(p.Code, i)
}

// operands takes the operands of i, as many as def wants, and returns their types.
func (d *decoder) operands(i *Instr, def Def) []Type {
	n := d.r.Array()
	if d.reads += n; d.reads > maxOperands {
		d.r.Fail("more than %d operands", maxOperands)
	}
	if d.r.Err() != nil || def.Arity != variadic && n != def.Arity || def.Arity == variadic && n == 0 {
		d.r.Fail("%s takes %d operands, got %d", i.Op, def.Arity, n)
		return nil
	}
	i.In = make([]ID, n)
	types := make([]Type, n)
	for j := range types {
		id := d.id()
		if d.r.Err() != nil {
			return nil
		}
		i.In[j], types[j] = id, d.p.Types[id]
	}
	return types
}

// admit returns an error if a result of type t exceeds a bound, alone or with the values before it.
func (d *decoder) admit(op Op, t Type) error {
	if err := bounded(t.Shape); err != nil {
		return err
	}
	if d.axes += len(t.Shape); d.axes > maxAxes {
		return fmt.Errorf("values of more than %d axes", maxAxes)
	}
	if op == OpConst {
		d.constants += int64(t.DType.Bytes(t.Shape.Size().C))
	}
	if d.constants > maxConstants {
		return fmt.Errorf("constants of more than %d bytes", maxConstants)
	}
	return nil
}

// bounded returns an error unless s is within the bounds of a decoded program.
func bounded(s Shape) error {
	if len(s) > maxRank {
		return fmt.Errorf("rank %d, the limit is %d", len(s), maxRank)
	}
	symbols := 0
	for i, d := range s {
		if d.C > maxInt {
			return fmt.Errorf("shape %v: dimension %d is out of range", s, i)
		}
		symbols += len(d.Sym)
	}
	if symbols > pack.MaxName {
		return fmt.Errorf("%d bytes of symbols, the limit is %d", symbols, pack.MaxName)
	}
	return s.valid()
}
