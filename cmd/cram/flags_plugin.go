package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

// pluginForm is how a plugin is written where a compressor or a backend goes.
const (
	pluginPrefix = "plugin:"
	pluginForm   = pluginPrefix + "PROGRAM?ARG&ARG"
)

// pluginCommand returns the command of "plugin:PROGRAM?ARG&ARG", and whether text is one.
func pluginCommand(text string) (plugins.Command, bool) {
	program, ok := strings.CutPrefix(text, pluginPrefix)
	if !ok {
		return plugins.Command{}, false
	}
	path, args, given := strings.Cut(program, "?")
	c := plugins.Command{Path: path, Log: slog.Default()}
	if given {
		c.Args = strings.Split(args, "&")
	}
	return c, true
}

// unlaunched stands for a compressor plugin on the command line until its program runs.
type unlaunched struct {
	text    string
	command plugins.Command
}

func (u unlaunched) String() string { return u.text }

func (u unlaunched) Compress(context.Context, []compress.Weight) ([]compress.Compressed, error) {
	return nil, errors.New(u.text + " was not launched")
}

// launch starts the plugins among the levels, which then have the names that these declare. Close ends them.
func (l *levels) launch(ctx context.Context) error {
	list := append([]compress.Compressor(nil), l.list...)
	for i, c := range list {
		u, ok := c.(unlaunched)
		if !ok {
			continue
		}
		p, err := plugins.LaunchCompressor(ctx, u.command)
		if err != nil {
			l.close()
			return err
		}
		list[i] = p
		l.launched = append(l.launched, p)
	}
	l.list = list
	return nil
}

func (l *levels) close() {
	for _, p := range l.launched {
		_ = p.Close() // it ends one way or the other
	}
	l.launched = nil
}
