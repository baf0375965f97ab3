// Package printable makes texts of unknown origin fit for a terminal: a plugin's words, what a file says of itself. An escape sequence,
// a carriage return or a character that turns the direction of writing could make a line say what it does not.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns the first limit bytes of s on one line: what does not print, line ends among it, is written as Go escapes it ("\x1b", "\u202e"),
// and what was cut off is counted.
func Line(s string, limit int) string { return escape(s, limit, "") }

// Lines is [Line] with line ends and tabs left as they are.
func Lines(s string, limit int) string { return escape(s, limit, "\n\t") }

func escape(s string, limit int, pass string) string {
	whole := len(s)
	for limit < len(s) && limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	s = s[:min(max(limit, 0), whole)]
	var b strings.Builder
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		if broken := r == utf8.RuneError && n == 1; !broken && (unicode.IsPrint(r) || strings.ContainsRune(pass, r)) {
			b.WriteString(rest[:n])
		} else {
			quoted := strconv.QuoteToASCII(rest[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		rest = rest[n:]
	}
	if len(s) < whole {
		fmt.Fprintf(&b, "… (%d bytes more)", whole-len(s))
	}
	return b.String()
}
