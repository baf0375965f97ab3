package repotest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippet matches a block of Go in Markdown with the marker before it: "<!-- go: FILE -->" for a
// whole file, "<!-- go: FILE#FUNC -->" for a function, or for the body of an Example.
var snippet = regexp.MustCompile("(?s)(?:<!-- go: (\\S+) -->\n)?```go\n(.*?)```")

// TestSnippets holds that every block of Go in README.md, docs/guide.md and docs/plugins.md is the
// text of a file that the tests compile. With -update it writes the blocks.
func TestSnippets(t *testing.T) {
	for _, name := range []string{"../../README.md", "../../docs/guide.md", "../../docs/plugins.md"} {
		text := read(t, name)
		found := 0
		got := snippet.ReplaceAllStringFunc(text, func(block string) string {
			found++
			m := snippet.FindStringSubmatch(block)
			if m[1] == "" {
				t.Errorf("%s: a block of Go has no marker <!-- go: FILE -->:\n%s", name, m[2])
				return block
			}
			code, err := source(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return block
			}
			return fmt.Sprintf("<!-- go: %s -->\n```go\n%s```", m[1], code)
		})
		if found == 0 {
			t.Errorf("%s has no block of Go", name)
		}
		if got == text {
			continue
		}
		if *updateAPI {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s has other code than its files (- only in the document, + only in the files):\n%s"+
			"update it with: go test ./internal/repotest -run Snippets -update", name, compare(text, got))
	}
}

// source returns the code of a marker: FILE or FILE#FUNC.
func source(marker string) (string, error) {
	path, function, _ := strings.Cut(marker, "#")
	b, err := os.ReadFile("../../" + path)
	if err != nil {
		return "", err
	}
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	if function == "" {
		return text, nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		return "", err
	}
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		if strings.HasPrefix(function, "Example") {
			code, err := format.Source([]byte(text[offset(f.Body.Lbrace)+1 : offset(f.Body.Rbrace)]))
			return strings.Trim(string(code), "\n") + "\n", err
		}
		from := f.Pos()
		if f.Doc != nil {
			from = f.Doc.Pos()
		}
		return text[offset(from):offset(f.End())] + "\n", nil
	}
	return "", errors.New(marker + ": the file has no such function")
}

// TestLinks holds that every relative link in a document leads to a file.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, name := range trackedFiles(t) {
		if filepath.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		path := filepath.Join("../..", filepath.FromSlash(name))
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
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
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
