package repotest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeProgram holds that the program in README.md is the one in examples/tour, which the tests build.
func TestReadmeProgram(t *testing.T) {
	readme := read(t, "../../README.md")
	program := read(t, "../../examples/tour/main.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d Go programs in README.md, want 1", len(blocks))
	}
	for _, line := range strings.Split(strings.TrimSpace(blocks[0][1]), "\n") {
		if !strings.Contains(program, "\n\t"+line+"\n") {
			t.Errorf("README.md has a line that examples/tour has not: %q", line)
		}
	}
}

// TestReadmeLinks holds that every relative link in the documents leads somewhere.
func TestReadmeLinks(t *testing.T) {
	for dir, file := range map[string]string{"../..": "README.md", "../../docs": "architecture.md", "../../.": "CONTRIBUTING.md"} {
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(read(t, dir+"/"+file), -1) {
			if _, err := os.Stat(dir + "/" + m[1]); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
