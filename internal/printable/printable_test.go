package printable

import (
	"math"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ in, line, lines string }{
		{"", "", ""},
		{"θ + ρ·g, 日本 \"x\" \\", "θ + ρ·g, 日本 \"x\" \\", "θ + ρ·g, 日本 \"x\" \\"},
		{"\x1b[2Jgone", `\x1b[2Jgone`, `\x1b[2Jgone`},
		{"ok\rno", `ok\rno`, `ok\rno`},
		{"a\n\tb", `a\n\tb`, "a\n\tb"},
		{"x\u202egnp", `x\u202egnp`, `x\u202egnp`},
		{"\u009b31m", `\u009b31m`, `\u009b31m`},
		{"\xff\xc3", `\xff\xc3`, `\xff\xc3`},
		{"\u2028\x00\x7f", `\u2028\x00\x7f`, `\u2028\x00\x7f`},
		{"�", "�", "�"},
	} {
		if got := Line(c.in, 100); got != c.line {
			t.Errorf("Line(%q) = %q, want %q", c.in, got, c.line)
		}
		if got := Lines(c.in, 100); got != c.lines {
			t.Errorf("Lines(%q) = %q, want %q", c.in, got, c.lines)
		}
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"abc", 3, "abc"},
		{"abc", 2, "ab… (1 bytes more)"},
		{"aθb", 2, "a… (3 bytes more)"},
		{"abc", 0, "… (3 bytes more)"},
		{"abc", -1, "… (3 bytes more)"},
		{strings.Repeat("x", 1<<20), 4, "xxxx… (1048572 bytes more)"},
	} {
		if got := Line(c.in, c.limit); got != c.want {
			t.Errorf("Line(%.9q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("\x1b[2J\r\n\u202e\xff", 7)
	f.Add("θ + ρ·g, 日本", 5) // a cut within a rune
	f.Add("\u009b31m\u2028\x00\x7f\u200b", 100)
	f.Add("\xf0\x9f\x98", 2) // an incomplete rune
	f.Add(strings.Repeat("\xff", 64), 63)
	f.Add("abc", math.MinInt)
	f.Add("", math.MaxInt)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		line := Line(s, limit)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("Line(%q, %d) = %q", s, limit, line)
		}
		if most := 10*max(min(limit, len(s)), 0) + 40; len(line) > most {
			t.Errorf("Line(%q, %d) has %d bytes", s, limit, len(line))
		}
	})
}
