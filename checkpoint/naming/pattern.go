package naming

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// theirs returns the name that the table's library gives our name, by the first rule that matches.
func (t Table) theirs(ours string) (name string, l Layout, ok bool) {
	for _, r := range t.Rules {
		if m := r.pattern().FindStringSubmatch(ours); m != nil {
			return r.fill(m), r.Layout, true
		}
	}
	return "", 0, false
}

var variable = regexp.MustCompile(`\\\{([a-z])\\\}`)

// pattern returns Ours as a regular expression with a named group for every variable; the star's is "star".
func (r Rule) pattern() *regexp.Regexp {
	expr := variable.ReplaceAllString(regexp.QuoteMeta(r.Ours), `(?P<$1>[0-9]+)`)
	return regexp.MustCompile("^" + strings.Replace(expr, `\*`, `(?P<star>.+)`, 1) + "$")
}

var term = regexp.MustCompile(`\{(\d*)([a-z])([+-]\d+)?\}`)

// fill returns Theirs with what pattern matched.
func (r Rule) fill(match []string) string {
	p := r.pattern()
	name := term.ReplaceAllStringFunc(r.Theirs, func(text string) string {
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
