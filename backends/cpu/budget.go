package cpu

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A budget counts the bytes that an executable takes, against Options.MemoryLimit. A limit of 0 is
// none.
type budget struct{ used, limit int64 }

// take counts bytes that are about to be allocated. It returns an error, and counts nothing, if
// they exceed the limit.
func (b *budget) take(bytes int64, what string) error {
	want := plus(b.used, bytes)
	if b.limit > 0 && want > b.limit {
		return &backends.MemoryError{Backend: "cpu", What: what, Want: want, Limit: b.limit}
	}
	b.used = want
	return nil
}

// give counts bytes that are free again.
func (b *budget) give(bytes int64) { b.used -= bytes }

// plus returns x+y for x, y ≥ 0, or the largest int64 if that is less.
func plus(x, y int64) int64 {
	if x > math.MaxInt64-y {
		return math.MaxInt64
	}
	return x + y
}

// described names a value with its type and dimensions: "conv2d conv1.weight f32[128 16 32 32]".
func described(name string, d array.DType, dims []int) string {
	return fmt.Sprintf("%s %v%v", name, d, dims)
}

// spelled returns sizes as text: "N=128, T=20".
func spelled(sizes graph.Sizes) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		parts = append(parts, fmt.Sprintf("%s=%d", name, sizes[name]))
	}
	return strings.Join(parts, ", ")
}

// check returns a MemoryError if the limit is too small for one run of a bound program.
func (b budget) check(p *bound) error {
	arena, scratch := int64(p.arena), int64(p.threads)*(4*int64(p.scratch)+int64(p.workerBytes))
	outputs := int64(0)
	for _, v := range p.outputs {
		outputs = plus(outputs, int64(p.values[v].typ.DType.Bytes(array.Count(p.dims[v]))))
	}
	what := "a run"
	if len(p.sizes) > 0 {
		what += " with " + spelled(p.sizes)
	}
	if name := p.largest(); name != "" {
		what += ", the largest value being " + name
	}
	return b.take(plus(arena, plus(scratch, outputs)), what) // b is a copy
}

// largest describes the largest value that a run computes.
func (p *bound) largest() string {
	most, name := 0, ""
	for _, r := range p.stages {
		for _, ph := range r.phases {
			for _, id := range ph.writes {
				if n := p.buffers[id].bytes; n > most {
					most, name = n, p.described(ph.step, id)
				}
			}
		}
	}
	return name
}

// described returns the name of a buffer that a step writes: type and dimensions of a value, or the
// size of working memory.
func (p *bound) described(s *step, id bufID) string {
	for _, v := range s.out {
		if p.bufOf[v] == id {
			return described(s.name, p.values[v].typ.DType, p.dims[v])
		}
	}
	return fmt.Sprintf("working memory of %s, %d bytes", s.name, p.buffers[id].bytes)
}
