// Package printable escapes texts of unknown origin for a terminal: texts of a plugin or of a file.
// Without it, an escape sequence, a carriage return or a character that changes the direction of
// writing could hide or imitate other output.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line returns the first limit bytes of s on one line. Characters that are not printable, line ends
// included, have the form of a Go string literal: \n, \x1b, \u202e. If bytes are left out, their
// number is appended. Line does not cut within a character.
func Line(s string, limit int) string { return escape(s, limit, "") }

// Lines is like [Line] but keeps line ends and tabs.
func Lines(s string, limit int) string { return escape(s, limit, "\n\t") }

func escape(s string, limit int, keep string) string {
	whole := len(s)
	for limit < len(s) && limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	s = s[:min(max(limit, 0), whole)]
	var b strings.Builder
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		invalid := r == utf8.RuneError && n == 1
		if !invalid && (unicode.IsPrint(r) || strings.ContainsRune(keep, r)) {
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
