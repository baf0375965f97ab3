package repotest

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxColumns is the width of comments and Markdown. A tab counts as four columns.
const maxColumns = 100

// forbiddenWords are the words and phrases that comments, string literals and Markdown do not use.
// Each is a regular expression for whole words in any case. A space also stands for one line end.
var forbiddenWords = []string{
	"doors?", "house", "strangers?", "rooms?", "nobody", "somebody", "whoever", "anew", "dear",
	"vouch(?:es)?", "springs? up", "lets go", "nothing to say", "weighed",
}

// An exception allows a forbidden word in a file.
type exception struct {
	file   string // slash-separated, relative to the module root
	word   string // as found, in lower case
	reason string
}

// exceptions are the allowed uses of forbidden words. An entry without a match fails the test.
var exceptions = []exception{}

// A finding is a violation of a rule.
type finding struct {
	line int
	what string // the forbidden word, or the error text
}

// prose has the findings in one file.
type prose struct {
	comments int       // number of lines with a comment; Go only
	wide     []int     // lines wider than maxColumns: comment lines in Go, all lines in Markdown
	words    []finding // forbidden words
	errors   []finding // error strings that break a rule; Go only
}

// TestProse holds the rules for comments, messages and documents.
func TestProse(t *testing.T) {
	files := map[string]prose{}
	for _, name := range trackedFiles(t) {
		if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".md") ||
			strings.HasSuffix(name, ".pb.go") || slices.Contains(strings.Split(name, "/"), "testdata") {
			continue
		}
		text, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[name], err = checkProse(name, string(text)); err != nil {
			t.Error(err)
		}
	}
	names := slices.Sorted(maps.Keys(files))
	t.Run("CommentWidth", func(t *testing.T) { testCommentWidth(t, names, files) })
	t.Run("MarkdownWidth", func(t *testing.T) {
		for _, name := range names {
			if path.Ext(name) == ".md" {
				for _, line := range files[name].wide {
					t.Errorf("%s:%d: wider than %d columns", name, line, maxColumns)
				}
			}
		}
	})
	t.Run("Words", func(t *testing.T) {
		left, stale := excuse(files, exceptions)
		for _, name := range names {
			for _, f := range left[name] {
				t.Errorf("%s:%d: forbidden word %q", name, f.line, f.what)
			}
		}
		for _, e := range stale {
			t.Errorf("exception %+v has no match or no reason: remove it or give one", e)
		}
	})
	t.Run("Errors", func(t *testing.T) {
		for _, name := range names {
			for _, f := range files[name].errors {
				t.Errorf("%s:%d: %s", name, f.line, f.what)
			}
		}
	})
}

// testCommentWidth fails when 1 % or more of all comment lines are wider than maxColumns.
func testCommentWidth(t *testing.T, names []string, files map[string]prose) {
	var comments, wide int
	var worst []string
	for _, name := range names {
		if p := files[name]; path.Ext(name) == ".go" {
			comments += p.comments
			wide += len(p.wide)
			if len(p.wide) > 0 {
				worst = append(worst, name)
			}
		}
	}
	if comments == 0 {
		t.Fatal("found no comments")
	}
	share := 100 * float64(wide) / float64(comments)
	t.Logf("comment lines %d, wider than %d: %d (%.2f %%)", comments, maxColumns, wide, share)
	slices.SortStableFunc(worst, func(a, b string) int { return len(files[b].wide) - len(files[a].wide) })
	for i, name := range worst {
		if i == 20 {
			t.Logf("and %d files more", len(worst)-i)
			break
		}
		p := files[name]
		t.Logf("%s: %d of %d, first at line %d", name, len(p.wide), p.comments, p.wide[0])
	}
	if 100*wide >= comments {
		t.Errorf("%.2f %% of the comment lines are wider than %d columns, want less than 1 %%", share, maxColumns)
	}
}

// trackedFiles returns the names of all files under version control, relative to the module root.
func trackedFiles(t *testing.T) []string {
	t.Helper()
	if _, err := os.Stat("../../.git"); err != nil {
		t.Skip("SKIPPED: no git checkout, so no file was checked")
	}
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// excuse returns the forbidden words of each file that no exception covers, and the exceptions that
// cover nothing or have no reason.
func excuse(files map[string]prose, exceptions []exception) (left map[string][]finding, stale []exception) {
	used := make([]bool, len(exceptions))
	left = map[string][]finding{}
	for name, p := range files {
		for _, f := range p.words {
			i := slices.IndexFunc(exceptions, func(e exception) bool { return e.file == name && e.word == f.what })
			if i < 0 {
				left[name] = append(left[name], f)
			} else {
				used[i] = true
			}
		}
	}
	for i, e := range exceptions {
		if !used[i] || e.reason == "" {
			stale = append(stale, e)
		}
	}
	return left, stale
}

// checkProse applies all rules to the text of a Go or Markdown file. A generated Go file has no
// findings.
func checkProse(name, text string) (prose, error) {
	if path.Ext(name) == ".md" {
		return prose{wide: wideMarkdown(text), words: findWords(text)}, nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || ast.IsGenerated(file) {
		return prose{}, err
	}
	var p prose
	visible := blank(text)
	offset := fset.File(file.Pos()).Offset
	line := func(pos token.Pos) int { return fset.PositionFor(pos, false).Line }
	lines := strings.Split(text, "\n")
	counted := map[int]bool{}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if directive.MatchString(c.Text) {
				continue
			}
			from, to := offset(c.Pos()), offset(c.End())
			copy(visible[from:to], text[from:to])
			copy(visible[from:], "  ") // the comment marker
			for n := line(c.Pos()); n <= line(c.End()); n++ {
				if counted[n] {
					continue
				}
				counted[n] = true
				p.comments++
				if columns(lines[n-1]) > maxColumns {
					p.wide = append(p.wide, n)
				}
			}
		}
	}
	if !strings.HasSuffix(name, "_test.go") {
		for _, lit := range stringLiterals(file) {
			from, to := offset(lit.Pos()), offset(lit.End())
			s := text[from:to]
			if s[0] == '"' {
				s = escape.ReplaceAllStringFunc(s, func(e string) string { return strings.Repeat(" ", len(e)) })
			}
			copy(visible[from:to], s)
		}
		for _, call := range errorCalls(file) {
			for _, what := range checkError(call) {
				p.errors = append(p.errors, finding{line(call.pos), what})
			}
		}
	}
	p.words = findWords(string(visible))
	return p, nil
}

var (
	// directive matches comments that tools read, such as //go:build. They cannot be wrapped.
	directive = regexp.MustCompile(`^//(?:line |export |extern |[a-z0-9]+:[a-z0-9])`)
	escape    = regexp.MustCompile(`\\.`)
	url       = regexp.MustCompile(`https?://[^\s<>()"` + "`" + `]+`)
	forbidden = regexp.MustCompile(`(?i)\b(?:` +
		strings.ReplaceAll(strings.Join(forbiddenWords, "|"), " ", `(?:[ \t]+|[ \t]*\r?\n[ \t]*)`) + `)\b`)
)

// blank returns text with a zero byte for every byte that is not white space. Phrases do not match
// across zero bytes.
func blank(text string) []byte {
	b := []byte(text)
	for i, c := range b {
		if !bytes.ContainsRune([]byte(" \t\r\n"), rune(c)) {
			b[i] = 0
		}
	}
	return b
}

// findWords returns the forbidden words of a text. Words in URLs do not count.
func findWords(text string) []finding {
	text = url.ReplaceAllStringFunc(text, func(u string) string { return strings.Repeat("\x00", len(u)) })
	var found []finding
	for _, m := range forbidden.FindAllStringIndex(text, -1) {
		word := strings.ToLower(strings.Join(strings.Fields(text[m[0]:m[1]]), " "))
		found = append(found, finding{1 + strings.Count(text[:m[0]], "\n"), word})
	}
	return found
}

// columns returns the width of a line.
func columns(line string) int {
	line = strings.TrimSuffix(line, "\r")
	return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
}

var (
	fence = regexp.MustCompile("^[\\s>]*(?:[-*+]\\s+|\\d+[.)]\\s+)?(`{3,}|~{3,})")
	// unbreakable matches the lines that cannot be wrapped: a table row, a link reference, and one
	// word or link after an optional list marker.
	unbreakable = regexp.MustCompile(`^\s*\||^ {0,3}\[[^\]]+\]:\s|` +
		`^[\s>]*(?:[-*+]\s+|\d+[.)]\s+)?(?:\S+|!?\[[^\]]*\]\(\S*\)\S*)\s*$`)
)

// wideMarkdown returns the numbers of the lines that are wider than maxColumns and can be wrapped.
func wideMarkdown(text string) []int {
	var wide []int
	open := "" // the marker of the current fenced block
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case open != "":
			if m != nil && strings.HasPrefix(m[1], open) && strings.HasSuffix(strings.TrimSpace(line), m[1]) {
				open = ""
			}
		case m != nil:
			open = m[1]
		case columns(line) > maxColumns && !unbreakable.MatchString(line):
			wide = append(wide, i+1)
		}
	}
	return wide
}

// stringLiterals returns the string literals of a file except import paths.
func stringLiterals(file *ast.File) []*ast.BasicLit {
	var found []*ast.BasicLit
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}

// An errorCall is a call of errors.New or fmt.Errorf.
type errorCall struct {
	pos      token.Pos
	function string   // "errors.New" or "fmt.Errorf"
	text     ast.Expr // the first argument
}

// errorCalls returns the calls that make errors. The file may import the packages by other names.
func errorCalls(file *ast.File) []errorCall {
	functions := map[string]string{} // name in the file: standard name
	for _, spec := range file.Imports {
		imported := strings.Trim(spec.Path.Value, "`\"")
		function := map[string]string{"errors": "New", "fmt": "Errorf"}[imported]
		local := imported
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if function != "" {
			functions[local+"."+function] = imported + "." + function
		}
	}
	var found []errorCall
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				if name := functions[x.Name+"."+sel.Sel.Name]; name != "" {
					found = append(found, errorCall{call.Pos(), name, call.Args[0]})
				}
			}
		}
		return true
	})
	return found
}

var (
	expectation = regexp.MustCompile(`(?i)\b(?:expected|must\s+be)\b`)
	verb        = regexp.MustCompile(`%[^%]`)
)

// checkError returns the rules that the text of an error breaks.
func checkError(call errorCall) []string {
	var broken []string
	text, constant := literalText(call.text)
	if strings.Contains(text, "\n") {
		broken = append(broken, "error text has a line end")
	}
	if word := expectation.FindString(text); word != "" {
		broken = append(broken, fmt.Sprintf("error text has %q, want the form \"want X, got Y\"", word))
	}
	if constant && call.function == "fmt.Errorf" && !verb.MatchString(strings.ReplaceAll(text, "%%", "")) {
		broken = append(broken, "fmt.Errorf without a verb, want errors.New")
	}
	return broken
}

// literalText returns the literals of a concatenation and reports whether it has nothing else.
func literalText(e ast.Expr) (text string, constant bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return literalText(e.X)
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		x, okX := literalText(e.X)
		y, okY := literalText(e.Y)
		return x + y, okX && okY
	}
	return "", false
}

// TestProseChecks holds that the checks find each violation, and no others.
func TestProseChecks(t *testing.T) {
	long := strings.Repeat("word ", 20) // 100 columns with its last space
	const raw = "`"
	for _, c := range []struct {
		name, file, text string
		comments         int
		want             []string // "LINE wide", "LINE word WORD", "LINE error TEXT"
	}{
		{"comment of 100 columns", "a.go", "package a\n\n//" + long[:98] + "\n", 1, nil},
		{"comment of 101 columns", "a.go", "package a\n\n// " + long[:97] + "x\n", 1, []string{"3 wide"}},
		{"runes", "a.go", "package a\n\n// " + strings.Repeat("é", 97) + "\n", 1, nil},
		{"tabs", "a.go", "package a\n\nfunc f() {\n\t// " + long[:94] + "\n}\n", 1, []string{"4 wide"}},
		{"comment after code", "a.go", "package a\n\nvar x = 1 // " + long[:90] + "\n", 1, []string{"3 wide"}},
		{"code", "a.go", "package a\n\nvar x = \"" + long + long + "\"\n", 0, nil},
		{"block", "a.go", "package a\n\n/* one\n" + long + long + "\n\n*/\n", 4, []string{"4 wide"}},
		{"two comments in a line", "a.go", "package a /* one */ /* two */\n", 1, nil},
		{"directives", "a.go", "//go:build " + long + "\n\npackage a\n\n//go:generate house\n//line x.go:7\n", 0, nil},
		{"generated", "a.go", "// Code generated by gen. DO NOT EDIT.\n\npackage a\n\n// house " + long + "\n", 0, nil},

		{"words in comments", "a.go", "// Package a is a Door.\npackage a\n\n// f\n// is anew, dear to nobody's rooms.\n", 3,
			[]string{"1 word door", "5 word anew", "5 word dear", "5 word nobody", "5 word rooms"}},
		{"words in parts of words", "a.go", "package a\n\n// headroom, warehouse, indoor, Room_1, endear, bedrooms, householder\n", 1, nil},
		{"phrases", "a.go", "package a\n\n// It lets  go. They spring up\n// and it lets\n// go with nothing\n//\n// to say.\n", 5,
			[]string{"3 word lets go", "3 word spring up", "4 word lets go"}},
		{"phrase across code", "a.go", "package a\n\nvar (\n\tx = 1 // lets\n\ty = 2 // go\n)\n", 2, nil},
		{"test comments", "a_test.go", "package a\n\n// whoever\nvar x = \"house\"\n", 1, []string{"3 word whoever"}},
		{"literals", "a.go", "package a\n\nimport _ \"x/house\"\n\nvar x = \"a\\nhouse\" + " + raw + "\nvouch" + raw + "\nvar room = 1\n", 0,
			[]string{"5 word house", "6 word vouch"}},
		{"addresses", "a.go", "package a\n\n// See https://example.com/house/door.\nvar x = \"http://door/x\"\n", 1, nil},
		{"all words", "a.md", "door doors house stranger strangers room rooms nobody somebody whoever anew\n" +
			"dear dear to vouch vouches spring up springs up lets go nothing to say is nobody's weighed\n", 0,
			[]string{"1 word door", "1 word doors", "1 word house", "1 word stranger", "1 word strangers", "1 word room",
				"1 word rooms", "1 word nobody", "1 word somebody", "1 word whoever", "1 word anew", "2 word dear", "2 word dear",
				"2 word vouch", "2 word vouches", "2 word spring up", "2 word springs up", "2 word lets go",
				"2 word nothing to say", "2 word nobody", "2 word weighed"}},

		{"Markdown", "a.md", "# " + long + "x\n" + long + "\n" + long + "x\n- " + long + "\n", 0, []string{"1 wide", "3 wide", "4 wide"}},
		{"Markdown that cannot be wrapped", "a.md", "| " + long + "|\n[a]: x " + long + "\n- [" + long + "](x).\n" +
			strings.Repeat("x", 101) + "\n2. " + strings.Repeat("x", 101) + "\n", 0, nil},
		{"fenced", "a.md", "```go\n" + long + "x\n~~~\n" + long + "x\n```\n" + long + "x\n  ~~~~\n" + long + "x\n~~~\n" + long + "x\n~~~~\n", 0,
			[]string{"6 wide"}},
		{"words in Markdown", "a.md", "A [house](https://house.example).\n\n```\nweighed\n```\n", 0, []string{"1 word house", "4 word weighed"}},

		{"errors", "a.go", "package a\n\nimport (\n\t\"errors\"\n\tf \"fmt\"\n)\n\nvar (\n" +
			"\ta = errors.New(\"a\\nb\")\n\tb = errors.New(\"x expected\")\n\tc = f.Errorf(\"x must \" + \"be %d\", 1)\n\td = f.Errorf(\"100 %%\")\n" +
			"\te = f.Errorf(\"x\" + y)\n\tf = errors.New(\"want 1, got 2: unexpected\")\n\tg = f.Errorf(\"%w\", a)\n\th = fmt.Errorf(\"x\")\n" +
			"\ti = f.Sprintf(\"expected\")\n\tj = f.Errorf(" + raw + "a\nb" + raw + ")\n)\n", 0,
			[]string{"9 error error text has a line end", "10 error error text has \"expected\", want the form \"want X, got Y\"",
				"11 error error text has \"must be\", want the form \"want X, got Y\"", "12 error fmt.Errorf without a verb, want errors.New",
				"18 error error text has a line end", "18 error fmt.Errorf without a verb, want errors.New"}},
		{"errors in tests", "a_test.go", "package a\n\nimport \"fmt\"\n\nvar x = fmt.Errorf(\"expected\")\n", 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := checkProse(c.file, c.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, line := range p.wide {
				got = append(got, fmt.Sprint(line, " wide"))
			}
			for _, f := range p.words {
				got = append(got, fmt.Sprint(f.line, " word ", f.what))
			}
			for _, f := range p.errors {
				got = append(got, fmt.Sprint(f.line, " error ", f.what))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
			if p.comments != c.comments {
				t.Errorf("%d comment lines, want %d", p.comments, c.comments)
			}
		})
	}
	if _, err := checkProse("a.go", "not Go"); err == nil {
		t.Error("a syntax error: no error")
	}
}

// TestProseExceptions holds that an exception covers one word of one file, and that one without a
// match or a reason is reported.
func TestProseExceptions(t *testing.T) {
	files := map[string]prose{
		"a.go": {words: []finding{{1, "room"}, {2, "room"}, {3, "house"}}},
		"b.go": {words: []finding{{4, "room"}}},
	}
	left, stale := excuse(files, []exception{
		{"a.go", "room", "a reason"}, {"b.go", "house", "no match"}, {"c.go", "room", "no match"}, {"a.go", "house", ""},
	})
	if len(left) != 1 || !slices.Equal(left["b.go"], files["b.go"].words) {
		t.Errorf("left %v, want the word of b.go", left)
	}
	var names []string
	for _, e := range stale {
		names = append(names, e.file)
	}
	if want := []string{"b.go", "c.go", "a.go"}; !slices.Equal(names, want) {
		t.Errorf("stale exceptions of %v, want %v", names, want)
	}
}
