package sdk_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocExample holds that each line of code in the package comment is a line of Example, in the
// same order.
func TestDocExample(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(examples), "\nfunc Example() {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	rest := strings.Split(body, "\n")
	found := 0
	for line := range strings.Lines(string(doc)) {
		code, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			continue
		}
		code = strings.TrimSpace(code)
		for len(rest) > 0 && !strings.Contains(rest[0], code) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			t.Fatalf("the body of Example has no line %q after the ones before it", code)
		}
		rest = rest[1:]
		found++
	}
	if found < 10 {
		t.Errorf("the package comment has %d lines of code, want 10 or more", found)
	}
}
