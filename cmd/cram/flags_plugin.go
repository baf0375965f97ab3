package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

// The syntax of a plugin: pluginSyntax as one of several compressors or backends, programSyntax
// where only a plugin is possible.
const (
	pluginPrefix  = "plugin:"
	pluginSyntax  = pluginPrefix + "PROGRAM?ARG&ARG"
	programSyntax = "PROGRAM[@sha256:SUM][?ARG&ARG]"
)

// pluginCommand returns the command of "plugin:PROGRAM?ARG&ARG". Ok is false for a text without the
// prefix.
func pluginCommand(text string) (c plugins.Command, ok bool, err error) {
	program, ok := strings.CutPrefix(text, pluginPrefix)
	if ok {
		c, err = programCommand(program)
	}
	return c, ok, err
}

// programCommand returns the command of "PROGRAM@sha256:SUM?ARG&ARG". The checksum and the
// arguments are optional. With a checksum, only a program that has it is run.
// The prefix "plugin:" is accepted.
func programCommand(text string) (plugins.Command, error) {
	text = strings.TrimPrefix(text, pluginPrefix)
	program, args, hasArgs := strings.Cut(text, "?")
	path, sum, pinned := strings.Cut(program, "@sha256:")
	if path == "" {
		return plugins.Command{}, usagef("plugin: want %s, got %q", programSyntax, text)
	}
	c := plugins.Command{Path: path, Log: slog.Default()}
	if hasArgs {
		c.Args = strings.Split(args, "&")
	}
	if pinned {
		var err error
		if c.SHA256, err = hex.DecodeString(sum); err != nil || len(c.SHA256) != sha256.Size {
			return c, usagef("plugin %s: SHA-256: want %d hexadecimal digits, as sha256sum prints them, got %q",
				path, hex.EncodedLen(sha256.Size), sum)
		}
	}
	return c, nil
}

// oneProgram returns an error unless args is one program.
func oneProgram(_ *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	err := fmt.Errorf("want one argument, %s, got %d", programSyntax, len(args))
	if len(args) > 1 {
		err = fmt.Errorf("%w: write the arguments of the program as '%s?%s'", err, args[0], strings.Join(args[1:], "&"))
	}
	return err
}

// suggestPlugin returns err with the name that a plugin has, if text looks like a program.
func suggestPlugin(err error, text string) error {
	program, _, hasArgs := strings.Cut(text, "?")
	info, statError := os.Stat(program)
	if isFile := statError == nil && !info.IsDir(); isFile || hasArgs || strings.ContainsRune(program, '/') {
		return fmt.Errorf("%w: did you mean %s%s", err, pluginPrefix, text)
	}
	return err
}

// unlaunched is a compressor plugin of the command line whose program does not run yet.
type unlaunched struct {
	text    string
	command plugins.Command
}

func (u unlaunched) String() string { return u.text }

func (u unlaunched) Compress(context.Context, []compress.Weight) ([]compress.Compressed, error) {
	return nil, errors.New(u.text + " was not launched")
}

// launch starts the plugins among the levels. Each level then has the name that its plugin
// declares. The caller must call close.
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
		_ = p.Close() // the process ends in any case
	}
	l.launched = nil
}
