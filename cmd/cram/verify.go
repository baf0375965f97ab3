package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
)

func (a *app) verify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check every byte of a file",
		Long: `Check every byte of a file: that checksums match, padding is zero, programs are valid and every tensor of every level
decodes. The checksums find damage, not forgery. The exit code is 1 if a file is damaged.`,
		Example: `  cram verify net.cram
  cram verify --json *.cram`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runVerify(args) }),
	}
}

// A verdict says whether a file is intact, or where it is not.
type verdict struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	Intact  bool   `json:"intact"`
	Offset  *int64 `json:"offset,omitempty"` // byte at which the damage shows
	Problem string `json:"problem,omitempty"`
}

func (r verdict) text() string {
	if r.Intact {
		return fmt.Sprintf("%s: intact, %s", r.File, size(r.Bytes))
	}
	if r.Offset != nil {
		return fmt.Sprintf("%s: damaged at byte %d of %d: %s", r.File, *r.Offset, r.Bytes, r.Problem)
	}
	return fmt.Sprintf("%s: damaged: %s", r.File, r.Problem)
}

func (a *app) runVerify(files []string) error {
	damaged := 0
	for _, file := range files {
		v, err := judge(file)
		if err != nil {
			return err
		}
		if !v.Intact {
			damaged++
		}
		if err := a.print(v); err != nil {
			return err
		}
	}
	if damaged > 0 {
		return fmt.Errorf("%d of %d files damaged; restore them from where they came", damaged, len(files))
	}
	return nil
}

// judge returns an error where the file cannot be read at all.
func judge(file string) (verdict, error) {
	info, err := os.Stat(file)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{File: file, Bytes: info.Size()}
	r, err := checkpoint.Open(file)
	if err == nil {
		defer r.Close()
		if err = r.Verify(); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
	}
	var format *checkpoint.FormatError
	switch {
	case err == nil:
		v.Intact = true
	case errors.As(err, &format):
		v.Offset, v.Problem = &format.Offset, format.Problem
	default:
		return v, err
	}
	return v, nil
}
