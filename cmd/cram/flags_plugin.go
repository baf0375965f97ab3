package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

// pluginForm is how a plugin is written where a compressor or a backend goes, programForm where only a plugin can stand.
const (
	pluginPrefix = "plugin:"
	pluginForm   = pluginPrefix + "PROGRAM?ARG&ARG"
	programForm  = "PROGRAM[@sha256:SUM][?ARG&ARG]"
)

// pluginCommand returns the command of "plugin:PROGRAM?ARG&ARG", and whether text is one.
func pluginCommand(text string) (c plugins.Command, ok bool, err error) {
	program, ok := strings.CutPrefix(text, pluginPrefix)
	if ok {
		c, err = programCommand(program)
	}
	return c, ok, err
}

// programCommand returns the command of "PROGRAM@sha256:SUM?ARG&ARG", of which only the program must be there. With the sum that and
// nothing else is run.
func programCommand(text string) (plugins.Command, error) {
	program, args, given := strings.Cut(text, "?")
	path, sum, pinned := strings.Cut(program, "@sha256:")
	c := plugins.Command{Path: path, Log: slog.Default()}
	if given {
		c.Args = strings.Split(args, "&")
	}
	if pinned {
		var err error
		if c.SHA256, err = hex.DecodeString(sum); err != nil || len(c.SHA256) != sha256.Size {
			return c, usagef("plugin %s: the SHA-256 is %q, want %d hexadecimal digits, as sha256sum prints them", path, sum, 2*sha256.Size)
		}
	}
	return c, nil
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
