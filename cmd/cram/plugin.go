package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/plugins/plugintest"
	"github.com/compressaware/cram/sdk/compress"
)

func (a *app) plugin() *cobra.Command {
	info := &cobra.Command{
		Use:   "info " + programSyntax,
		Short: "Show the name, version and abilities of a plugin",
		Long: `Start a plugin and print its name and version, the version of the protocol, how tensors are
passed, and its compressor and backend. With @sha256:SUM, only a program with this SHA-256 is
started. The prefix plugin: of other commands is accepted. Quote a PROGRAM with arguments.`,
		Example: `  cram plugin info './small?0.01'
  cram plugin info 'venv/bin/python?small.py&0.01'`,
		Args: oneProgram,
		RunE: a.action(a.runPluginInfo),
	}
	var timeout time.Duration
	test := &cobra.Command{
		Use:   "test " + programSyntax,
		Short: "Test a plugin against the requirements of cram",
		Long: `Run the tests of package plugins/plugintest with a program. They start and stop the program many
times and run the test suite of its compressor and of its backend. The output is that of
go test -v.`,
		Example: `  cram plugin test './small?0.01'
  cram plugin test 'venv/bin/python?small.py&0.01'`,
		Args: oneProgram,
		RunE: a.action(func(ctx context.Context, args []string) error {
			return a.runPluginTest(ctx, args[0], timeout)
		}),
	}
	test.Flags().DurationVar(&timeout, "timeout", time.Minute, "time limit of one call, after which the plugin is killed")
	return group("plugin", "Show and test plugins: compressors and backends in separate programs", info, test)
}

// A pluginResult is the information that a plugin declares.
type pluginResult struct {
	Program      string            `json:"program"`
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Protocol     int               `json:"protocol"`
	SharedMemory bool              `json:"shared_memory"`
	Compressor   *pluginCompressor `json:"compressor,omitempty"`
	Backend      *pluginBackend    `json:"backend,omitempty"`
}

type pluginCompressor struct {
	Name          string `json:"name"`
	Deterministic bool   `json:"deterministic"`
	Values        bool   `json:"values"`
	Pattern       string `json:"pattern,omitempty"` // "2:4"
}

type pluginBackend struct {
	Name           string   `json:"name"`
	InstructionSet string   `json:"instruction_set"`
	Deterministic  bool     `json:"deterministic"`
	Threads        int      `json:"threads"`
	Ops            []string `json:"ops,omitempty"`
}

func (d pluginResult) text() string {
	memory := "streams"
	if d.SharedMemory {
		memory = "shared memory"
	}
	s := fmt.Sprintf("%s %s, protocol %d, tensors in %s", d.Name, d.Version, d.Protocol, memory)
	if c := d.Compressor; c != nil {
		s += fmt.Sprintf("\ncompressor %s: returns %s%s%s", c.Name, word(c.Values, "masks and values", "masks"),
			word(c.Deterministic, "", ", not deterministic"), word(c.Pattern == "", "", ", pattern "+c.Pattern))
	}
	if b := d.Backend; b != nil {
		s += fmt.Sprintf("\nbackend %s %s: %d threads%s", b.Name, b.InstructionSet, b.Threads, word(b.Deterministic, "", ", not deterministic"))
		if len(b.Ops) > 0 {
			s += fmt.Sprintf(", %d ops: %s", len(b.Ops), strings.Join(b.Ops, " "))
		}
	}
	return s
}

func word(yes bool, one, other string) string {
	if yes {
		return one
	}
	return other
}

func (a *app) runPluginInfo(ctx context.Context, args []string) error {
	command, err := programCommand(args[0])
	if err != nil {
		return err
	}
	info, err := plugins.Describe(ctx, command)
	if err != nil {
		return err
	}
	d := pluginResult{Program: args[0], Name: info.Name, Version: info.Version, Protocol: info.Protocol, SharedMemory: info.SharedMemory}
	if c := info.Compressor; c != nil {
		d.Compressor = &pluginCompressor{Name: c.Name, Deterministic: c.Deterministic, Values: c.Values}
		if c.Pattern != (compress.Pattern{}) {
			d.Compressor.Pattern = fmt.Sprintf("%d:%d", c.Pattern.N, c.Pattern.M)
		}
	}
	if b := info.Backend; b != nil {
		d.Backend = &pluginBackend{Name: b.Name, InstructionSet: b.InstructionSet, Deterministic: b.Deterministic, Threads: b.Threads, Ops: b.Ops}
	}
	return a.print(d)
}

// A testResult is the result of plugin test.
type testResult struct {
	Program string `json:"program"`
	Passed  bool   `json:"passed"`
}

func (r testResult) text() string { return r.Program + word(r.Passed, " passes", " fails") }

// runPluginTest runs the suite, which is written for go test. [testing.Main] prints the report and
// ends the process.
func (a *app) runPluginTest(ctx context.Context, program string, timeout time.Duration) error {
	command, err := programCommand(program)
	if err != nil {
		return err
	}
	if err := requireFlag(timeout > 0, "timeout", "a duration above 0", timeout); err != nil {
		return err
	}
	command.CallTimeout = timeout
	testing.Init()
	if err := flag.CommandLine.Parse([]string{"-test.v"}); err != nil {
		return err
	}
	if a.json {
		os.Stdout = os.Stderr // standard output is for results only
	}
	defer context.AfterFunc(ctx, func() { os.Exit(1) })() // the plugins end with this process
	all := func(_, _ string) (bool, error) { return true, nil }
	testing.Main(all, []testing.InternalTest{{Name: "Plugin", F: func(t *testing.T) {
		passed := t.Run("suite", func(t *testing.T) { plugintest.Run(t, command, plugintest.Options{}) })
		if err := a.print(testResult{program, passed}); err != nil {
			t.Error(err)
		}
	}}}, nil, nil)
	return nil
}
