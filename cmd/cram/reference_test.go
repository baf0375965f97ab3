package main

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md instead of comparing it")

const referenceFile = "../../docs/cli.md"

const referenceHead = `# Command line

This file is generated from the commands by ` + "`go test ./cmd/cram -run Reference -update`" + `.
The words are those of the [glossary](glossary.md).

%s

` + "```sh\n%s\n```" + `

Every command accepts ` + "`-h`" + `, which prints the text below, and ` + "`--json`" + `, which prints the results as
JSON, one object per line. Results are written to standard output, everything else to standard
error. The exit code is 0 on success, 2 for an error in the command line and 1 for any other error.
` + "`cram --version`" + ` prints the version of cram and of Go.

| Command | Purpose |
|---|---|
`

// TestReference compares docs/cli.md with the commands.
func TestReference(t *testing.T) {
	got := referenceText((&app{}).root())
	if *update {
		write(t, referenceFile, []byte(got))
		return
	}
	if want := strings.ReplaceAll(string(read(t, referenceFile)), "\r\n", "\n"); got != want {
		t.Errorf("docs/cli.md differs from the commands at line %d: run go test ./cmd/cram -run Reference -update",
			1+strings.Count(got[:common(got, want)], "\n"))
	}
}

// common returns the length of the common prefix of two texts.
func common(x, y string) int {
	n := 0
	for n < min(len(x), len(y)) && x[n] == y[n] {
		n++
	}
	return n
}

// referenceText returns the reference of all commands as Markdown.
func referenceText(root *cobra.Command) string {
	commands := leaves(root)
	var b strings.Builder
	fmt.Fprintf(&b, referenceHead, root.Long, unindent(root.Example))
	for _, c := range commands {
		name := c.CommandPath()
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", name, strings.ReplaceAll(name, " ", "-"), c.Short)
	}
	for _, c := range commands {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```\n%s\n```\n\n%s\n\n```sh\n%s\n```\n",
			c.CommandPath(), c.Short, strings.TrimSuffix(c.UseLine(), " [flags]"), c.Long, unindent(c.Example))
		if c.HasAvailableLocalFlags() {
			b.WriteString("\n| Flag | Default | Meaning |\n|---|---|---|\n")
			c.Flags().VisitAll(func(f *pflag.Flag) {
				if c.InheritedFlags().Lookup(f.Name) == nil {
					b.WriteString(flagRow(f))
				}
			})
		}
	}
	return b.String()
}

// leaves returns the commands below c that have no subcommands, in the order of the help text.
func leaves(c *cobra.Command) (found []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.HasSubCommands() {
			found = append(found, leaves(sub)...)
		} else {
			found = append(found, sub)
		}
	}
	return found
}

// flagRow returns the row of a flag. A backquoted word of its usage is the name of its value.
func flagRow(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name, def := "--"+f.Name, f.DefValue
	if value != "" {
		name += " " + value
	}
	if def == "" || def == "[]" || def == "false" {
		def = "–"
	} else {
		def = "`" + def + "`"
	}
	if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; required {
		def = "required"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", name, def, strings.NewReplacer("|", `\|`, "*", `\*`).Replace(usage))
}

// unindent removes the two spaces at the beginning of each line.
func unindent(text string) string {
	return strings.TrimPrefix(strings.ReplaceAll(text, "\n  ", "\n"), "  ")
}
