package checkpoint

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A span is the bytes of a file from one offset up to another.
type span struct{ from, to int64 }

// joined returns the spans sorted, with adjacent ones joined, and their length. They must not
// overlap.
func joined(t testing.TB, spans []span) (out []span, length int64) {
	t.Helper()
	for _, s := range slices.SortedFunc(slices.Values(spans), func(a, b span) int { return cmp.Compare(a.from, b.from) }) {
		length += s.to - s.from
		last := len(out) - 1
		switch {
		case s.from == s.to:
		case last < 0 || out[last].to < s.from:
			out = append(out, s)
		case out[last].to > s.from:
			t.Errorf("bytes %d to %d are there twice", s.from, min(s.to, out[last].to))
		default:
			out[last].to = s.to
		}
	}
	return out, length
}

// A recorder records all reads.
type recorder struct {
	bytes.Reader
	sync.Mutex
	reads []span
}

func (r *recorder) ReadAt(b []byte, at int64) (int, error) {
	r.Lock()
	r.reads = append(r.reads, span{at, at + int64(len(b))})
	r.Unlock()
	return r.Reader.ReadAt(b, at)
}

// A fileMap has the bytes of each chunk of a file: from the end of the chunk before, so with the
// padding, to the end of its content.
type fileMap struct {
	header span
	at     map[*chunk]span
	r      *Reader
}

func mapOf(r *Reader) fileMap {
	m := fileMap{span{0, r.end}, map[*chunk]span{}, r}
	before := r.end
	r.head.blobs(func(b *blob) {
		for i := range *b {
			k := &(*b)[i]
			m.at[k] = span{before, r.data + k.off + k.n}
			before = m.at[k].to
		}
	})
	return m
}

func (m fileMap) blobs(blobs ...blob) (spans []span) {
	for _, b := range blobs {
		for i := range b {
			spans = append(spans, m.at[&b[i]])
		}
	}
	return spans
}

// parts returns the numbers of the parts of a level.
func (m fileMap) parts(t testing.TB, level string) map[int]bool {
	t.Helper()
	l, err := m.r.find(level)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[int]bool{}
	for _, e := range l.entries {
		for _, p := range e.parts {
			parts[p] = true
		}
	}
	return parts
}

// level returns the bytes of a level: of its parts, its quantizations, its programs and those that
// these replace.
func (m fileMap) level(t testing.TB, name string) (spans []span) {
	t.Helper()
	for p := range m.parts(t, name) {
		spans = append(spans, m.blobs(m.r.head.parts[p].index, m.r.head.parts[p].values)...)
	}
	l, err := m.r.find(name)
	if err != nil {
		t.Fatal(err)
	}
	code := map[int]bool{}
	for _, p := range l.programs {
		code[p.code] = true
		for _, shared := range m.r.head.programs {
			if shared.name == p.name {
				code[shared.code] = true
			}
		}
	}
	for i := range code {
		spans = append(spans, m.blobs(m.r.head.code[i])...)
	}
	return append(spans, m.blobs(l.quantization, l.activations)...)
}

// A reading is a way to read something, and the bytes that it needs in addition to the header.
type reading struct {
	read func(*Reader) error
	want []span
}

// readings returns all ways to read one thing of a file.
func (m fileMap) readings(t testing.TB) map[string]reading {
	all := map[string]reading{"nothing": {func(*Reader) error { return nil }, nil}}
	for _, p := range m.r.head.programs {
		all["program "+p.name] = reading{func(r *Reader) error { _, err := r.Program(p.name); return err }, m.blobs(m.r.head.code[p.code])}
	}
	for _, l := range m.r.head.levels {
		all["level "+l.name] = reading{func(r *Reader) error { _, err := r.Level(l.name); return err }, m.level(t, l.name)}
	}
	var state, steps []span
	for _, x := range m.r.head.state.parts {
		state = append(state, m.blobs(x.index, x.values)...)
	}
	state = append(state, m.blobs(m.r.head.state.quantization)...)
	for _, s := range m.r.head.steps {
		for _, x := range s.parts {
			steps = append(steps, m.blobs(x.index, x.values)...)
		}
		steps = append(steps, m.blobs(s.quantization)...)
	}
	all["steps"] = reading{func(r *Reader) error { _, err := r.Steps(); return err }, steps}
	all["whether there is a state"] = reading{func(r *Reader) error {
		if !r.HasState() {
			return errors.New("the file has none")
		}
		return nil
	}, nil}
	all["state"] = reading{func(r *Reader) error { _, err := r.State(); return err }, state}
	return all
}

// elasticResNet20 returns a file of a ResNet-20 with programs, a state and the levels dense, four
// by magnitude and 2:4, each with its own statistics.
func elasticResNet20(t testing.TB) *File {
	t.Helper()
	tensors := resnet20(t)
	f := &File{Info: meta(), Programs: map[string]*graph.Program{"infer": tinyProgram(t), "reset": tinyProgram(t), "tune": tinyProgram(t)},
		State: &State{Tensors: map[string]array.Value{"momentum": array.DenseValue(tensors["linear.weight"])}}}
	for _, sparsity := range []float64{0, .5, .8, .9, .95} {
		f.Levels = append(f.Levels, pruned(t, tensors, sparsity))
	}
	f.Levels[0].Name = "dense"
	groups := Level{Name: "nm:2:4", Tensors: map[string]array.Value{}}
	for name, x := range tensors {
		groups.Tensors[name] = array.DenseValue(x)
		if len(x.Dims) > 1 && x.Dims[1]%4 == 0 {
			groups.Tensors[name] = twoOfFour(t, x)
		}
	}
	f.Levels = append(f.Levels, groups)
	for i, l := range f.Levels {
		for name, v := range l.Tensors {
			if strings.Contains(name, "running") {
				l.Tensors[name] = array.DenseValue(random(t, uint32(100+i), v.Dims...))
			}
		}
	}
	return f
}

// TestReadsOnlyItsOwn holds that the header and a level, a program or the state are read from
// exactly their bytes, each byte once.
func TestReadsOnlyItsOwn(t *testing.T) {
	for _, f := range []*File{elasticResNet20(t), full(t)} {
		testReadsOnlyItsOwn(t, write(t, f))
	}
}

func testReadsOnlyItsOwn(t *testing.T, b []byte) {
	m := mapOf(read(t, b))
	for name, x := range m.readings(t) {
		t.Run(name, func(t *testing.T) {
			c := &recorder{Reader: *bytes.NewReader(b)}
			r, err := NewReader(c, int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if err := x.read(r); err != nil {
				t.Fatal(err)
			}
			got, n := joined(t, c.reads)
			want, total := joined(t, append(x.want, m.header))
			if !slices.Equal(got, want) || n != total {
				t.Errorf("read %d bytes, want %d: %v, want %v", n, total, got, want)
			}
			t.Logf("%d of %d bytes, in %d runs", n, len(b), len(got))
		})
	}
}

// TestSparseLevelReadsAPrefix holds that each of the nested levels ends before the first part that
// only denser levels use.
func TestSparseLevelReadsAPrefix(t *testing.T) {
	m := mapOf(read(t, write(t, elasticResNet20(t))))
	sparser := map[int]bool{}
	for _, name := range []string{"topk:0.95", "topk:0.9", "topk:0.8", "topk:0.5", "dense"} {
		mine := m.parts(t, name)
		end := int64(0)
		for _, s := range m.level(t, name) {
			end = max(end, s.to)
		}
		others := 0
		for i, p := range m.r.head.parts {
			for _, s := range m.blobs(p.index, p.values) {
				if !mine[i] && !sparser[i] && s.from < end {
					t.Errorf("%s reads up to byte %d, and part %d of denser levels begins at byte %d", name, end, i, s.from)
				}
			}
			if !mine[i] && !sparser[i] {
				others++
			}
			if mine[i] {
				sparser[i] = true
			}
		}
		if others == 0 { // the mask of 2:4 at least
			t.Errorf("%s reads every part", name)
		}
		t.Logf("%-9s ends at byte %d", name, end)
	}
}
