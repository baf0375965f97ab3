package reference

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// elementBytes is the size of an element of an operand of any type.
const elementBytes = 8

// A budget counts the bytes that an executable takes, against Options.MemoryLimit. A limit of 0 is
// none.
type budget struct{ used, limit int64 }

// take counts bytes that are about to be allocated. It returns an error, and counts nothing, if
// they exceed the limit.
func (b *budget) take(bytes int64, what string) error {
	want := plus(b.used, bytes)
	if b.limit > 0 && want > b.limit {
		return &backends.MemoryError{Backend: name, What: what, Want: want, Limit: b.limit}
	}
	b.used = want
	return nil
}

// plus returns x+y for x, y ≥ 0, or the largest int64 if that is less.
func plus(x, y int64) int64 {
	if x > math.MaxInt64-y {
		return math.MaxInt64
	}
	return x + y
}

// operandBytes returns the size of an operand.
func operandBytes(dims []int) int64 { return elementBytes * int64(array.Count(dims)) }

// takeConstants counts the constants of a program.
func (b *budget) takeConstants(p *graph.Program, consts map[string]array.Value) error {
	for _, slot := range p.Slots {
		if _, ok := consts[slot.Name]; ok {
			if err := b.takeSlot("constant", slot); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeSlot counts a slot, or a constant in the place of one.
func (b *budget) takeSlot(kind string, slot graph.Slot) error {
	dims, _ := slot.Shape.Dims() // constant, as Verify has checked
	return b.take(operandBytes(dims), fmt.Sprintf("%s %q %v", kind, slot.Name, slot.Type))
}

// checkRun returns a MemoryError if the limit is too small for one run: all values of the program,
// which exist until its end, and the outputs.
func (b budget) checkRun(p *graph.Program, sizes graph.Sizes) error {
	total, most, largest := int64(0), int64(0), ""
	for _, i := range p.Code {
		if i.Op == graph.OpSlot {
			continue
		}
		for _, id := range i.Out {
			dims, err := p.Types[id].Shape.Bind(sizes)
			if err != nil {
				return fmt.Errorf("%s: %w", i.Op, err)
			}
			bytes := operandBytes(dims)
			if total = plus(total, bytes); bytes > most {
				most, largest = bytes, fmt.Sprintf("%s %v%v", i.Op, p.Types[id].DType, dims)
			}
		}
	}
	for _, o := range p.Outputs {
		dims, err := p.Types[o.ID].Shape.Bind(sizes)
		if err != nil {
			return fmt.Errorf("output %q: %w", o.Name, err)
		}
		total = plus(total, int64(p.Types[o.ID].DType.Bytes(array.Count(dims))))
	}
	what := "a run"
	for _, symbol := range slices.Sorted(maps.Keys(sizes)) {
		what += fmt.Sprintf(" with %s=%d", symbol, sizes[symbol])
	}
	return b.take(total, what+", the largest value being "+largest) // b is a copy
}
