package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	head = `
# A title

| what | seed |
|---|---|
| SGD | 1 |

| | seed | dense | 50 % | 70 % | 80 % | 90 % | 95 % |
|---|---|---|---|:--|--:|---|---|
`
	sgd = "| SGD (`-method sgd`) " + `| 1 | 85.00 | 84.00 (82.00) | 82.00 | 77.00 | 62.00 (15.00) | 22.00 |
` + sgd2 + `| *mean* | | *84.50* | *84.25* | *81.50* | *76.51* | *61.00* | *27.00* |
`
	sgd2 = `| | 2 | 84.00 | 84.50 (82.00) | 81.00 | 76.01 | 60.00 (15.00) | 32.00 |
`
	zero = `| CrAM+-Multi, ρ = 0 (` + "`-rho 0`" + `) | 1 | 85.45 | 85.31 | 84.94 | 84.34 | 82.01 | 70.05 |
`
	cram = `| CrAM+-Multi, ρ = 0.2 | 1 | 83.00 | 83.00 | 83.00 | 82.00 | 80.00 | 72.00 |
| | 2 | 84.00 | 83.00 | 83.00 | 82.00 | 81.00 | 71.00 |
| *mean* | | *83.50* | *83.00* | *83.00* | *82.00* | *80.50* | *71.50* |
`
)

func TestParse(t *testing.T) {
	for name, doc := range map[string]string{
		"as it stands": head + sgd + zero + cram + "\nmore text | with a bar\n",
		"other order":  head + cram + zero + sgd,
		"no last line": head + sgd + strings.TrimSuffix(cram, "\n"),
		"CRLF":         strings.ReplaceAll(head+sgd+cram, "\n", "\r\n"),
		"moved":        strings.Repeat("text\n", 50) + head + sgd + cram,
	} {
		got, err := parse(doc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := []curve{
			{"SGD", zeros, []float64{84.5, 84.25, 81.5, 76.51, 61, 27}},
			{"CrAM+-Multi, ρ = 0.2", zeros, []float64{83.5, 83, 83, 82, 80.5, 71.5}},
		}
		if !slices.EqualFunc(got, want, func(a, b curve) bool {
			return a.name == b.name && slices.Equal(a.zeros, b.zeros) && slices.Equal(a.accuracy, b.accuracy)
		}) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	doc := head + sgd + zero + cram
	for name, c := range map[string]struct{ old, new, want string }{
		"no table":   {"| dense |", "| full |", "want one table"},
		"two tables": {"\n# A title\n", head + sgd + cram, "want one table"},
		"no rows":    {doc, head[:strings.LastIndex(head, "|---|---|---|---|")], "line 8: want the table to go on"},
		"no dashes":  {"|---|---|---|---|:--|--:|---|---|\n", "", "line 9: want dashes below the header"},
		"no SGD":     {"| SGD (", "| SDG (", "want one row called SGD, got 0"},
		"SGD twice":  {zero, sgd, "want one row called SGD, got 2"},
		"no CrAM+":   {cram, "", "want one row called CrAM+-Multi, ρ = 0.2, got 0"},
		"cell short": {" | *27.00* |", " |", "line 12: want 8 cells, got 7"},
		"cell more":  {" | *27.00* |", " | *27.00* | 1 |", "line 12: want 8 cells, got 9"},
		"text":       {"*27.00*", "about 27", `line 12: want an accuracy like 84.80 or 84.79 (82.61), got "about 27"`},
		"empty":      {"| 62.00 (15.00) |", "| |", `line 10: want an accuracy like 84.80 or 84.79 (82.61), got ""`},
		"above 100":  {"*27.00*", "*127.00*", `line 12: want at most 100 percent, got "*127.00*"`},
		"other mean": {"*27.00*", "*27.02*", "line 12, 95 %: want 27.000, the mean of the rows above, got 27.02"},
		"one seed":   {sgd2, "", `line 11: want a row for another seed of SGD, got "*mean*"`},
		"3 seeds":    {sgd2, sgd2 + sgd2, `line 12: want *mean* of 2 seeds of SGD, got ""`},
		"no seed":    {"| 1 | 83.00", "| – | 83.00", `line 14: want the number of a seed, got "–"`},
		"no mean":    {cram[strings.Index(cram, "| *mean*"):], "", "want rows for 2 seeds and *mean*, got 2 rows"},
		"empty line": {"| | 2 | 84.00 | 83.00", "\n| | 2 | 84.00 | 83.00", "want rows for 2 seeds and *mean*, got 1 rows"},
	} {
		if !strings.Contains(doc, c.old) {
			t.Fatalf("%s: %q is not in the document", name, c.old)
		}
		got, err := parse(strings.Replace(doc, c.old, c.new, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v; want an error with %q", name, got, err, c.want)
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.md"), filepath.Join(dir, "out.svg")
	if err := os.WriteFile(in, []byte(head+sgd), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"", out}, {in, ""}, {in, out, "more"}, {in + "x", out}, {in, out}} {
		if err := run(args[0], args[1], args[2:]); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written after an error")
	}
}

// TestPicture holds that the picture is that of the table, and small.
func TestPicture(t *testing.T) {
	want, err := os.ReadFile("../../docs/accuracy.svg")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "accuracy.svg")
	for range 2 {
		if err := run("../../docs/results.md", out, nil); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("docs/accuracy.svg is not what the command draws from docs/results.md: run it, look, and commit")
		}
	}
	if n := len(want); n > 60<<10 {
		t.Errorf("the picture has %d bytes, want at most 60 KiB", n)
	}
	if n, all := bytes.Count(want, []byte("Liberation Sans,Arial,")), bytes.Count(want, []byte("font-family")); n != all {
		t.Errorf("%d of %d texts name other fonts beside the first, want all", n, all)
	}
}
