package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/internal/printable"
)

// app is what all commands share.
type app struct {
	stdout, stderr io.Writer
	json           bool
	acting         bool // the command line has been accepted
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case !a.acting || errors.As(err, &usage):
		a.note("cram: %v\nSee %s -h.", err, cmd.CommandPath())
		return 2
	default:
		a.note("cram: %v", err)
		return 1
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cram",
		Short: "Train a network once, prune it to any level afterwards",
		Long: `cram trains networks with CrAM, the compression-aware minimizer (Peste et al., ICLR 2023), so that they can be pruned
one-shot to any level after training, and serves them small and fast.`,
		Example: `  cram train --model small-cnn --data shapes --method cram+ --rho 0.05 --epochs 6 --out net.cram
  cram compress net.cram --with topk:0.5,topk:0.9 --data shapes --out levels.cram
  cram eval levels.cram --data shapes`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON, one object a line")
	root.AddCommand(a.train(), a.compress(), a.eval(), a.predict(), a.inspect(), a.verify(), a.importWeights(), a.export(), a.convert(), a.bench(), a.plugin(), a.data())
	return root
}

// action wraps what a command does: an error before it is one of the command line.
func (a *app) action(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.acting = true
		return do(cmd.Context(), args)
	}
}

// group returns a command that does nothing but hold others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			names = append(names, c.Name())
		}
		return fmt.Errorf("want a command after %s: %s", cmd.CommandPath(), strings.Join(names, " or "))
	}}
}

// usageError is an error of the command line that only the command itself can see.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A result is what a command puts on standard output: an object for programs, text for people.
type result interface{ text() string }

func (a *app) print(r result) error {
	if !a.json {
		_, err := fmt.Fprintln(a.stdout, printable.Lines(r.text(), math.MaxInt))
		return err
	}
	return json.NewEncoder(a.stdout).Encode(r)
}

// note tells people something that is not a result. Like what print shows them it may hold the words of a file or a plugin.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.stderr, printable.Lines(fmt.Sprintf(format, args...), math.MaxInt))
}
