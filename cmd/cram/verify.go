package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
)

func (a *app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check every byte of a file",
		Long: `Check every byte of each file: the checksums, the padding, the programs, and every tensor of every
level. The checksums detect damage, not forgery. The exit code is 1 if a file is damaged or cannot
be read. The remaining files are checked in any case.`,
		Example: `  cram verify net.cram
  cram verify --json *.cram`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runVerify(args) }),
	}
}

// A verifyResult is the result for one file.
type verifyResult struct {
	File       string `json:"file"`
	Bytes      int64  `json:"bytes"`
	Intact     bool   `json:"intact"`
	Unreadable bool   `json:"unreadable,omitempty"`
	Offset     *int64 `json:"offset,omitempty"` // of the byte at which the damage was found
	Problem    string `json:"problem,omitempty"`
}

func (r verifyResult) text() string {
	if r.Intact {
		return fmt.Sprintf("%s: intact, %s", r.File, size(r.Bytes))
	}
	if r.Unreadable {
		return fmt.Sprintf("%s: cannot be read: %s", r.File, r.Problem)
	}
	return fmt.Sprintf("%s: damaged at byte %d of %d: %s", r.File, *r.Offset, r.Bytes, r.Problem)
}

func (a *app) runVerify(files []string) error {
	damaged, unreadable := 0, 0
	for _, file := range files {
		v := judge(file)
		switch {
		case v.Unreadable:
			unreadable++
		case !v.Intact:
			damaged++
		}
		if err := a.print(v); err != nil {
			return err
		}
	}
	switch n := len(files); {
	case damaged > 0 && unreadable > 0:
		return fmt.Errorf("%d of %d files damaged, %d cannot be read; restore them from a copy", damaged, n, unreadable)
	case damaged > 0:
		return fmt.Errorf("%d of %d files damaged; restore them from a copy", damaged, n)
	case unreadable > 0:
		return fmt.Errorf("%d of %d files cannot be read", unreadable, n)
	}
	return nil
}

// judge checks a file of any kind.
func judge(file string) verifyResult {
	v := verifyResult{File: file}
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() { // reading a pipe would block
		err = fmt.Errorf("want a regular file, got %v", info.Mode())
	}
	if err == nil {
		v.Bytes = info.Size()
		err = check(file)
	}
	var format *checkpoint.FormatError
	var system *fs.PathError
	switch {
	case err == nil:
		v.Intact = true
	case errors.As(err, &format):
		v.Offset, v.Problem = &format.Offset, format.Problem
	case errors.As(err, &system): // its text repeats the path
		v.Unreadable, v.Problem = true, system.Err.Error()
	default:
		v.Unreadable, v.Problem = true, strings.TrimPrefix(err.Error(), file+": ")
	}
	return v
}

// check reads every byte of a file.
func check(file string) error {
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	return errors.Join(r.Verify(), r.Close())
}
