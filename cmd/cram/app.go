package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/internal/printable"
)

func init() { cobra.EnableCommandSorting = false } // help lists commands in the order of a workflow

// app holds what all commands share.
type app struct {
	stdout, stderr io.Writer
	json           bool
	accepted       bool // the arguments and flags are parsed, and the command runs
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
	case !a.accepted || errors.As(err, &usage):
		a.note("cram: %v\nSee %s -h.", err, cmd.CommandPath())
		return 2
	case ctx.Err() != nil:
		a.note("cram: %s", interruption(err))
		return 1
	default:
		a.note("cram: %v", err)
		return 1
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "cram",
		Short: "Train a network once, prune it to any sparsity afterwards",
		Long: `cram trains neural networks with CrAM, the compression-aware minimizer
(https://arxiv.org/abs/2207.14200). A network that is trained once with it can be pruned to
several sparsities afterwards, without retraining. Each pruned variant is a level, and one file
holds one or more levels.`,
		Example: `  cram train --model small-cnn --data shapes --epochs 6 --out net.cram
  cram compress net.cram --with dense,topk:0.5,topk:0.9 --data shapes --out levels.cram
  cram eval levels.cram --data shapes`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("cram {{.Version}}, " + runtime.Version() + "\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.PersistentFlags().BoolVar(&a.json, "json", false,
		"print results as JSON, one object per line")
	root.AddCommand(a.train(), a.compress(), a.eval(), a.predict(), a.inspect(), a.verify(), a.data(),
		a.importWeights(), a.export(), a.convert(), a.plugin(), a.bench(), a.completion())
	return root
}

// version returns the version of this module that the build recorded: "(devel)" for a build of a
// working tree without version control.
func version() string {
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}

// action returns the RunE of a command. Errors before it are errors of the command line.
func (a *app) action(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.accepted = true
		return do(cmd.Context(), args)
	}
}

// group returns a command that only has subcommands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(commands...)
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		return fmt.Errorf("want a command after %s: %s", cmd.CommandPath(), strings.Join(names, " or "))
	}
	return cmd
}

// A usageError is an error of the command line that the command itself finds. The exit code is 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// interruption returns the text for a command that a signal ended with err. It leaves out the
// errors that only report the cancelled context.
func interruption(err error) string {
	text := "interrupted"
	for _, e := range joined(err) {
		if !errors.Is(e, context.Canceled) {
			text += "; " + e.Error()
		}
	}
	return text
}

// joined returns the errors that errors.Join has joined to err, or err alone.
func joined(err error) []error {
	j, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range j.Unwrap() {
		all = append(all, joined(e)...)
	}
	return all
}

// A result is one line of standard output: an object with --json, and a text without.
type result interface{ text() string }

func (a *app) print(r result) error {
	if !a.json {
		_, err := fmt.Fprintln(a.stdout, printable.Lines(r.text(), math.MaxInt))
		return err
	}
	return json.NewEncoder(a.stdout).Encode(r)
}

// note writes a message that is not a result to standard error. The message may contain texts of a
// file or a plugin.
func (a *app) note(format string, args ...any) {
	fmt.Fprintln(a.stderr, printable.Lines(fmt.Sprintf(format, args...), math.MaxInt))
}
