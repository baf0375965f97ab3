package naming

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// theirs returns the library's name and layout for a name of cram.
func (t table) theirs(ours string) (name string, l layout, ok bool) {
	for _, r := range t.rules {
		if m := r.pattern().FindStringSubmatch(ours); m != nil {
			return r.fill(m), r.layout, true
		}
	}
	return "", 0, false
}

var variable = regexp.MustCompile(`\\\{([a-z])\\\}`)

// pattern returns ours as a regular expression with a named group for each variable; that of the
// star is "star".
func (r rule) pattern() *regexp.Regexp {
	expr := variable.ReplaceAllString(regexp.QuoteMeta(r.ours), `(?P<$1>[0-9]+)`)
	return regexp.MustCompile("^" + strings.Replace(expr, `\*`, `(?P<star>.+)`, 1) + "$")
}

var term = regexp.MustCompile(`\{(\d*)([a-z])([+-]\d+)?\}`)

// fill returns theirs with the variables of a match of pattern.
func (r rule) fill(match []string) string {
	p := r.pattern()
	name := term.ReplaceAllStringFunc(r.theirs, func(text string) string {
		m := term.FindStringSubmatch(text)
		factor, shift := 1, 0
		if m[1] != "" {
			factor, _ = strconv.Atoi(m[1])
		}
		if m[3] != "" {
			shift, _ = strconv.Atoi(m[3])
		}
		n, _ := strconv.Atoi(match[p.SubexpIndex(m[2])])
		return fmt.Sprint(factor*n + shift)
	})
	if i := p.SubexpIndex("star"); i >= 0 {
		name = strings.Replace(name, "*", match[i], 1)
	}
	return name
}
