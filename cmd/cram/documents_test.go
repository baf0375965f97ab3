package main

import (
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commandLine matches a cram command in a block of Markdown, in a comment of Go or in a text of
// Python, with its continued lines. In Markdown, lines outside blocks of code have no match, because
// they do not begin with the word or have other text.
var commandLine = regexp.MustCompile(`(?m)^(?:(?://)?[ \t]+)?(cram [a-z](?:[^\\\n]|\\\n)*)$`)

// words matches a word of a command line: with quotes, or up to a space or a redirection.
var words = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'">|;])+|[>|;]`)

// TestDocumentedCommands holds that the flags and arguments of every cram command in the documents,
// in the comments of the examples and in the help are accepted.
func TestDocumentedCommands(t *testing.T) {
	const root = "../.."
	list, err := exec.Command("git", "-C", root, "ls-files", "*.md", "examples/*.go", "examples/*.py").Output()
	if err != nil {
		t.Skip("the files of the repository are not known:", err)
	}
	found := map[string]int{}
	for _, name := range strings.Fields(string(list)) {
		text := strings.ReplaceAll(string(read(t, filepath.Join(root, name))), "\r\n", "\n")
		if name == "docs/cli.md" { // its lines of syntax are not commands; its examples are below
			continue
		}
		if filepath.Ext(name) == ".md" {
			text = blocks(text)
		}
		for _, m := range commandLine.FindAllStringSubmatch(text, -1) {
			found[name]++
			if err := accept(m[1]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	for _, name := range []string{"README.md", "docs/guide.md", "docs/plugins.md", "examples/plugin-go/main.go", "examples/plugin-python/small.py", "examples/cifar10/main.go"} {
		if found[name] == 0 {
			t.Errorf("%s: want commands, found none", name)
		}
	}
	for _, cmd := range leaves((&app{}).root()) {
		for _, m := range commandLine.FindAllStringSubmatch(cmd.Example, -1) {
			if err := accept(m[1]); err != nil {
				t.Errorf("%s: %s: %v", cmd.CommandPath(), m[1], err)
			}
		}
	}
	if err := accept("cram train --model small-cnn --data shapes --out net.cram"); err == nil {
		t.Error("a command without a required flag is accepted")
	}
}

// blocks returns the blocks of code of a Markdown text.
func blocks(text string) string {
	var b strings.Builder
	for i, part := range strings.Split("\n"+text, "\n```") {
		if i%2 == 1 {
			b.WriteString(part + "\n")
		}
	}
	return b.String()
}

// accept parses a command line without running it.
func accept(line string) error {
	line = regexp.MustCompile(`\\\n(?://)?`).ReplaceAllString(line, " ")
	var args []string
	for _, word := range words.FindAllString(line, -1)[1:] {
		if strings.HasPrefix(word, "#") || strings.Contains(">|;", word) {
			break
		}
		args = append(args, strings.Map(func(r rune) rune {
			if r == '\'' || r == '"' {
				return -1
			}
			return r
		}, word))
	}
	root := (&app{stdout: io.Discard, stderr: io.Discard}).root()
	root.InitDefaultHelpFlag()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}
