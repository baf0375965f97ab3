package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/plugins"
)

// backendFlags select the backend.
type backendFlags struct {
	name    string
	threads int
}

func (f *backendFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.name, "backend", "cpu", "`BACKEND` to compute with: cpu, reference (slow; it defines the results) or "+pluginSyntax)
	fs.IntVar(&f.threads, "threads", 0, "threads of the cpu backend, 0 for one per core; results do not depend on it")
}

func (f *backendFlags) open(ctx context.Context) (backends.Backend, error) {
	if err := atLeast(0, "threads", f.threads); err != nil {
		return nil, err
	}
	if command, ok, err := pluginCommand(f.name); err != nil {
		return nil, err
	} else if ok {
		if f.threads != 0 {
			return nil, usagef("--threads applies to --backend cpu only; give a plugin its own arguments: %s", pluginSyntax)
		}
		return plugins.LaunchBackend(ctx, command)
	}
	switch f.name {
	case "cpu":
		return cpu.New(cpu.Options{Threads: f.threads})
	case "reference":
		if err := requireFlag(f.threads <= 1, "threads", "0 or 1 with --backend reference", f.threads); err != nil {
			return nil, err
		}
		return reference.New(), nil
	}
	return nil, suggestPlugin(oneOf("backend", f.name, "cpu", "reference", pluginSyntax), f.name)
}
