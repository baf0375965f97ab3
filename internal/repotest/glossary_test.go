package repotest

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestGlossary holds that docs/glossary.md has at most 40 entries, in alphabetical order, each term
// once.
func TestGlossary(t *testing.T) {
	var terms []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*([^*]+)\*\*`).FindAllStringSubmatch(read(t, "../../docs/glossary.md"), -1) {
		terms = append(terms, strings.ToLower(m[1]))
	}
	if len(terms) == 0 || len(terms) > 40 {
		t.Errorf("%d entries, want 1 to 40", len(terms))
	}
	if !slices.IsSorted(terms) || len(slices.Compact(slices.Clone(terms))) != len(terms) {
		t.Errorf("the terms are not sorted or one appears twice: %q", terms)
	}
}
