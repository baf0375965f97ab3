package compress

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/compressaware/cram/sdk/graph"
)

// Only applies c to the weights whose name one of the patterns matches and leaves the others as they are. Its text name is
// "only(PATTERN,PATTERN):COMPRESSOR".
//
// Patterns are those of [path.Match] over the whole name: * is any run of characters, dots included, ? is any one,
// [0-3] is a class. "layer*.conv*.weight" matches "layer1.0.conv2.weight". A pattern holds no comma, bracket ( ) or space.
//
// c sees the chosen weights only, so a global operator ranks among them; [Meta.First] and [Meta.Last] stay the whole
// model's. The result has a graph form if c has one. No patterns, a malformed one, and one that matches no weight
// (a misspelt name) are errors of Compress and Build.
func Only(c Compressor, patterns ...string) Compressor { return newSelection("only", c, patterns) }

// Except applies c to the weights whose name none of the patterns matches; otherwise it is like [Only]. Its text name is
// "except(PATTERN,PATTERN):COMPRESSOR".
func Except(c Compressor, patterns ...string) Compressor { return newSelection("except", c, patterns) }

func newSelection(word string, c Compressor, patterns []string) Compressor {
	s := selection{word, append([]string(nil), patterns...), c}
	if inner, ok := c.(GraphCompressor); ok {
		return symbolicSelection{s, inner}
	}
	return s
}

type selection struct {
	word     string // "only" or "except"
	patterns []string
	inner    Compressor
}

func (s selection) rule() string { return s.word + "(" + strings.Join(s.patterns, ",") + ")" }

func (s selection) String() string { return fmt.Sprintf("%s:%v", s.rule(), s.inner) }

// Check checks what needs no weights, the inner compressor's settings among it.
func (s selection) Check() error {
	if s.inner == nil {
		return errors.New("no compressor to apply")
	}
	if len(s.patterns) == 0 {
		return fmt.Errorf("no patterns; want %s(conv1.weight,layer*.weight):COMPRESSOR", s.word)
	}
	for _, p := range s.patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || strings.ContainsAny(p, "(), \t\n") {
			return fmt.Errorf("malformed pattern %q; want characters of names, *, ? and [classes]", p)
		}
	}
	return fault(s.inner)
}

// choose returns the indices of the n weights that the inner compressor sees.
func (s selection) choose(n int, meta func(int) Meta) ([]int, error) {
	if err := CheckCompressor(s); err != nil {
		return nil, err
	}
	var at []int
	used := make([]bool, len(s.patterns))
	for i := range n {
		matches := false
		for k, p := range s.patterns {
			if ok, _ := path.Match(p, meta(i).Name); ok {
				matches, used[k] = true, true
			}
		}
		if matches == (s.word == "only") {
			at = append(at, i)
		}
	}
	for k, ok := range used {
		if !ok && n > 0 {
			return nil, fmt.Errorf("compress: %v: pattern %q matches none of the %d weights, %q to %q",
				s, s.patterns[k], n, meta(0).Name, meta(n-1).Name)
		}
	}
	return at, nil
}

// skipped is the reason given for a weight that the inner compressor does not see.
func (s selection) skipped(m Meta) string {
	if !m.Prunable() {
		return ""
	}
	return "left out by " + s.rule()
}

func (s selection) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	at, err := s.choose(len(w), func(i int) Meta { return w[i].Meta })
	if err != nil {
		return nil, err
	}
	chosen := make([]Weight, len(at))
	for k, i := range at {
		chosen[k] = w[i]
	}
	answer, err := s.inner.Compress(ctx, chosen)
	if err != nil {
		return nil, err
	}
	if len(answer) != len(chosen) {
		return nil, &ResultError{Compressor: s.inner.String(), Cause: wrongCount(len(answer), len(chosen))}
	}
	out := make([]Compressed, len(w))
	for i := range w {
		out[i].Skipped = s.skipped(w[i].Meta)
	}
	for k, i := range at {
		out[i] = answer[k]
	}
	return out, nil
}

// symbolicSelection is a selection whose inner compressor has a graph form.
type symbolicSelection struct {
	selection
	symbolic GraphCompressor
}

func (s symbolicSelection) Build(b *graph.Builder, w []WeightNode) []CompressedNode {
	out := make([]CompressedNode, len(w))
	for i := range w {
		out[i] = CompressedNode{Value: w[i].W, Skipped: s.skipped(w[i].Meta)}
	}
	at, err := s.choose(len(w), func(i int) Meta { return w[i].Meta })
	if err != nil {
		b.Fail("%w", err)
		return out
	}
	chosen := make([]WeightNode, len(at))
	for k, i := range at {
		chosen[k] = w[i]
	}
	answer := s.symbolic.Build(b, chosen)
	if len(answer) != len(chosen) {
		b.Fail("%w", &ResultError{Compressor: s.symbolic.String(), Cause: wrongCount(len(answer), len(chosen))})
		return out
	}
	for k, i := range at {
		out[i] = answer[k]
	}
	return out
}
