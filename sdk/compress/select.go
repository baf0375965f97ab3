package compress

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/compressaware/cram/sdk/graph"
)

// Only returns a compressor that applies c to the weights whose name matches one of the patterns,
// and leaves all others unchanged. Its text name is "only(PATTERN,PATTERN):COMPRESSOR".
//
// The syntax of patterns is that of [path.Match], applied to the whole name: * matches any sequence
// of characters, dots included, ? any single character, and [0-3] a class. "layer*.conv*.weight"
// matches "layer1.0.conv2.weight". A pattern contains no comma, parenthesis or space.
//
// c receives only the chosen weights, so a global compressor ranks only these. [Meta].First and
// [Meta].Last still refer to the whole model. The result is a [GraphCompressor] if c is one. An
// empty list of patterns, a malformed pattern, and a pattern that matches no weight are errors of
// Compress and Build.
func Only(c Compressor, patterns ...string) Compressor { return newSelection("only", c, patterns) }

// Except returns a compressor that applies c to the weights whose name matches none of the
// patterns. Everything else is as in [Only]. Its text name is "except(PATTERN,PATTERN):COMPRESSOR".
func Except(c Compressor, patterns ...string) Compressor { return newSelection("except", c, patterns) }

func newSelection(word string, c Compressor, patterns []string) Compressor {
	s := selection{word, append([]string(nil), patterns...), c}
	if inner, ok := c.(GraphCompressor); ok {
		return graphSelection{s, inner}
	}
	return s
}

type selection struct {
	word     string // "only" or "except"
	patterns []string
	inner    Compressor
}

// prefix returns the text name without the inner compressor.
func (s selection) prefix() string { return s.word + "(" + strings.Join(s.patterns, ",") + ")" }

func (s selection) String() string { return fmt.Sprintf("%s:%v", s.prefix(), s.inner) }

// Check returns an error if the patterns or the settings of the inner compressor are wrong.
func (s selection) Check() error { return settingsError(s, s.fault()) }

func (s selection) fault() error {
	if s.inner == nil {
		return errors.New("no compressor to apply; give one, for example compress.TopK(0.9)")
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

// UsesInputMoments reports whether the inner compressor uses the input moments.
func (s selection) UsesInputMoments() bool {
	inner, ok := s.inner.(MomentUser)
	return ok && inner.UsesInputMoments()
}

// choose returns the indices of those of the n weights that the inner compressor receives.
func (s selection) choose(n int, meta func(int) Meta) ([]int, error) {
	if err := s.Check(); err != nil {
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

// skipped returns the reason why a weight that was not chosen has no mask.
func (s selection) skipped(m Meta) string {
	if !m.Prunable() {
		return ""
	}
	return "left out by " + s.prefix()
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
	results, err := s.inner.Compress(ctx, chosen)
	if err != nil {
		return nil, err
	}
	if len(results) != len(chosen) {
		return nil, &ResultError{Compressor: s.inner.String(), Cause: wrongCount(len(results), len(chosen))}
	}
	out := make([]Compressed, len(w))
	for i := range w {
		out[i].Skipped = s.skipped(w[i].Meta)
	}
	for k, i := range at {
		out[i] = results[k]
	}
	return out, nil
}

// graphSelection is a selection whose inner compressor is a GraphCompressor.
type graphSelection struct {
	selection
	graph GraphCompressor
}

func (s graphSelection) Build(b *graph.Builder, w []WeightNode) []CompressedNode {
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
	results := s.graph.Build(b, chosen)
	if len(results) != len(chosen) {
		b.Fail("%w", &ResultError{Compressor: s.inner.String(), Cause: wrongCount(len(results), len(chosen))})
		return out
	}
	for k, i := range at {
		out[i] = results[k]
	}
	return out
}
