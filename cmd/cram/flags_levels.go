package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

// levels is the value of a flag that lists compressors: "0.5,0.9,nm:2:4". A number alone is the
// sparsity of topk. [levels.launch] starts the plugins in the list before it is used.
type levels struct {
	list     []compress.Compressor
	set      bool // a flag has replaced the default
	launched []*plugins.Compressor
}

func (l *levels) String() string {
	names := make([]string, len(l.list))
	for i, c := range l.list {
		names[i] = c.String()
	}
	return strings.Join(names, ",")
}

func (l *levels) Type() string { return "levels" }

// Set adds the levels of text. The first call replaces the default.
func (l *levels) Set(text string) error {
	var list []compress.Compressor
	for _, name := range splitOutsideBrackets(text) {
		if command, ok, err := pluginCommand(name); err != nil {
			return err
		} else if ok {
			list = append(list, unlaunched{name, command})
			continue
		}
		if _, err := strconv.ParseFloat(name, 64); err == nil {
			name = "topk:" + name
		}
		c, err := compress.Parse(name)
		if err != nil {
			return levelError(err, name)
		}
		list = append(list, c)
	}
	if l.set {
		list = append(l.list, list...)
	}
	l.list, l.set = list, true
	return nil
}

// levelError adds to the error of [compress.Parse] what it does not describe: plugins.
func levelError(err error, name string) error {
	if strings.Contains(name, "):"+pluginPrefix) {
		return fmt.Errorf("%q: want a built-in compressor after only(…) and except(…), got a plugin: it can choose weights by name itself", name)
	}
	if strings.Contains(err.Error(), "unknown compressor") {
		return suggestPlugin(fmt.Errorf("%w; or %s", err, pluginSyntax), name)
	}
	return err
}

// splitOutsideBrackets splits text at the commas outside brackets: "only(a,b):topk:0.9,0.5" has two
// parts.
func splitOutsideBrackets(text string) []string {
	depth := 0
	return strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}
