package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/plugins"
)

// backendFlags say what computes.
type backendFlags struct {
	name    string
	threads int
}

func (f *backendFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.name, "backend", "cpu", "what computes: cpu, reference (plain Go, slow, the definition of every op) or "+pluginForm)
	fs.IntVar(&f.threads, "threads", 0, "worker threads of the cpu backend; 0 means one a core. Results do not depend on it")
}

func (f *backendFlags) open(ctx context.Context) (backends.Backend, error) {
	if f.threads < 0 {
		return nil, usagef("--threads is %d, must be 0 or more", f.threads)
	}
	if command, ok, err := pluginCommand(f.name); err != nil {
		return nil, err
	} else if ok {
		if f.threads != 0 {
			return nil, usagef("--threads %d is for the cpu backend; give a plugin its own arguments: %s", f.threads, pluginForm)
		}
		return plugins.LaunchBackend(ctx, command)
	}
	switch f.name {
	case "cpu":
		return cpu.New(cpu.Options{Threads: f.threads})
	case "reference":
		if f.threads > 1 {
			return nil, usagef("--threads %d: the reference backend has one thread", f.threads)
		}
		return reference.New(), nil
	}
	return nil, usagef("unknown --backend %q: want cpu, reference or "+pluginForm, f.name)
}
