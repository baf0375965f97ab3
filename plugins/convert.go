package plugins

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/internal/printable"
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// The protocol numbers element types, roles and encodings as package graph does, and a test holds both to it. What comes from the other
// side may be any number, and is checked by whoever makes a tensor of it.

func dims(in []int) []int64 {
	out := make([]int64, len(in))
	for i, d := range in {
		out[i] = int64(d)
	}
	return out
}

func undims(in []int64) []int {
	out := make([]int, len(in))
	for i, d := range in {
		out[i] = int(d)
	}
	return out
}

// dtype returns the type of a number that nobody vouches for.
func dtype(d protocol.DType) (array.DType, error) {
	if t := array.DType(d); d >= 0 && d <= 255 && t.Valid() {
		return t, nil
	}
	return array.InvalidDType, fmt.Errorf("unknown element type %d", d)
}

func pattern(p *protocol.Pattern) compress.Pattern {
	return compress.Pattern{N: int(p.GetN()), M: int(p.GetM()), Axis: int(p.GetAxis())}
}

func patternMessage(p compress.Pattern) *protocol.Pattern {
	if p == (compress.Pattern{}) {
		return nil
	}
	return &protocol.Pattern{N: int64(p.N), M: int64(p.M), Axis: int64(p.Axis)}
}

// maxText bounds what a plugin says in words: names, versions, reasons.
const maxText = 4096

// Everything that a plugin says in words comes in through words, where the protocol has rules for it, or through said.

// words checks a text of a plugin's that people will read.
func words(what, s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%s has %d bytes, want at most %d", what, len(s), maxText)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		return fmt.Errorf("%s %q does not print", what, s)
	}
	return nil
}

// said returns what a plugin says as one line that prints.
func said(s string) string { return printable.Line(s, maxText) }

// message returns what a remote call failed with, in the plugin's words, of which none begins a line.
func message(err error) string {
	return strings.ReplaceAll(printable.Lines(status.Convert(err).Message(), maxText), "\n", "\n    ")
}

// quoted is an error with words of a plugin's in it.
type quoted struct{ err error }

func (q quoted) Error() string { return printable.Lines(q.err.Error(), 4*maxText) }
func (q quoted) Unwrap() error { return q.err }

// mostMissing bounds how many ops a plugin can say that it lacks.
const mostMissing = 256

// unsupported returns what a plugin cannot compile.
func unsupported(u *protocol.UnsupportedOps) error {
	missing := u.GetMissing()
	shown := make([]string, min(len(missing), mostMissing))
	for i := range shown {
		shown[i] = said(missing[i])
	}
	if more := len(missing) - len(shown); more > 0 {
		shown = append(shown, fmt.Sprintf("%d more", more))
	}
	return &backends.UnsupportedError{Backend: said(u.GetBackend()), Missing: shown}
}

// plan checks the names of a plan, which go back to the plugin as they are when they are pinned.
func plan(p map[string]string) (*backends.Plan, error) {
	for choice, kernel := range p {
		if err := errors.Join(words("a choice of its plan", choice), words("a kernel of its plan", kernel)); err != nil {
			return nil, err
		}
	}
	return planOf(p), nil
}

// planOf returns the plan that chooses these kernels, in the order of the choices' names.
func planOf(kernels map[string]string) *backends.Plan {
	p := &backends.Plan{}
	for _, choice := range slices.Sorted(maps.Keys(kernels)) {
		p.Choices = append(p.Choices, backends.Choice{Name: choice, Kernel: kernels[choice]})
	}
	return p
}

// kernels returns the kernel of each choice of a plan, nil for no plan.
func kernels(p *backends.Plan) map[string]string {
	if p == nil {
		return nil
	}
	m := make(map[string]string, len(p.Choices))
	for _, c := range p.Choices {
		m[c.Name] = c.Kernel
	}
	return m
}

// A parcel lays out and carries the tensors of one call. Add everything first, then lease.
type parcel struct {
	in, out memory.Layout
	fill    []func(*memory.Lease)
}

// toward adds bytes that the plugin is to read. The message's span is filled in once there is a lease.
func (p *parcel) toward(data []byte) *protocol.Span {
	place, span := p.in.Add(len(data)), &protocol.Span{}
	p.fill = append(p.fill, func(l *memory.Lease) {
		copy(l.In(place), data)
		name(span, l.InSpan(place))
	})
	return span
}

// room adds bytes that the plugin may write.
func (p *parcel) room(bytes int) (memory.Place, *protocol.Span) {
	place, span := p.out.Add(bytes), &protocol.Span{}
	p.fill = append(p.fill, func(l *memory.Lease) { name(span, l.OutSpan(place)) })
	return place, span
}

func name(span, as *protocol.Span) {
	span.Region, span.Offset, span.Bytes = as.GetRegion(), as.GetOffset(), as.GetBytes()
}

func (p *parcel) tensor(t array.Tensor) *protocol.Tensor {
	return &protocol.Tensor{Dtype: protocol.DType(t.DType), Dims: dims(t.Dims), Data: p.toward(t.Data)}
}

func (p *parcel) value(v array.Value) *protocol.Value {
	return &protocol.Value{
		Encoding: protocol.Encoding(v.Encoding), Dtype: protocol.DType(v.DType), Dims: dims(v.Dims),
		Values: p.toward(v.Values), Index: p.toward(v.Index), N: int64(v.N), M: int64(v.M), Axis: int64(v.Axis),
	}
}
