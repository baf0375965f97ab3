package plugins

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/compressaware/cram/plugins/internal/process"
)

// A Command states which program to start as a plugin, and its limits.
type Command struct {
	// Path is the program, a path or a name in PATH. It is required.
	Path string
	// Args are the arguments of the program, without its name.
	Args []string
	// Dir is the working directory. "" means the host's.
	Dir string
	// SHA256 is the sum of the program's file. Exactly these bytes are executed, or the start
	// fails. nil means that the program is not pinned.
	SHA256 []byte
	// Env has variables that the plugin gets in addition to PATH, TMPDIR, LANG, LC_ALL, TZ and, on
	// Windows, the variables that programs need to start. "NAME" copies a variable of the host,
	// "NAME=VALUE" sets one.
	Env []string

	// Insecure starts the plugin without mutual TLS on its private socket.
	Insecure bool
	// Stream copies tensors through gRPC instead of shared memory.
	Stream bool

	// StartTimeout is the time from the start to the reply of Describe. 0 means 10 s.
	StartTimeout time.Duration
	// CallTimeout is the time of one call. A plugin that takes longer is killed. 0 means 10 min.
	CallTimeout time.Duration
	// StopTimeout is the time in which a cancelled call, or all calls of a plugin that is closed,
	// have to end. A plugin that takes longer is killed. 0 means 5 s.
	StopTimeout time.Duration
	// Heartbeat is the time in which a plugin has to reply to a health check. A plugin that takes
	// longer is killed. 0 means 10 s.
	Heartbeat time.Duration

	// Log gets the lines of the plugin's output, and the starts and ends of its process. nil means
	// no log.
	Log *slog.Logger
}

// withDefaults returns the command with all zero fields set.
func (c Command) withDefaults() (Command, error) {
	if c.Path == "" {
		return c, errors.New("plugins: Command.Path is empty: name the plugin's program")
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"StartTimeout", &c.StartTimeout, 10 * time.Second},
		{"CallTimeout", &c.CallTimeout, 10 * time.Minute},
		{"StopTimeout", &c.StopTimeout, 5 * time.Second},
		{"Heartbeat", &c.Heartbeat, 10 * time.Second},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("plugins: %s: Command.%s: want 0 (which means %v) or more, got %v", c.Path, d.name, d.zero, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// spec returns the process to start.
func (c Command) spec() process.Spec {
	log := c.Log.With("plugin", c.Path)
	return process.Spec{
		Path: c.Path, Args: c.Args, Dir: c.Dir, SHA256: c.SHA256,
		Env: environment(c.Env),
		Log: func(line string) { log.Info(line) },
	}
}

// passed are the variables of the host that every plugin gets.
var passed = []string{"PATH", "TMPDIR", "LANG", "LC_ALL", "TZ"}

// passedOnWindows are the variables that programs on Windows need to start.
var passedOnWindows = []string{"SystemRoot", "TEMP", "TMP"}

func environment(entries []string) []string {
	names := passed
	if runtime.GOOS == "windows" {
		names = append(names[:len(names):len(names)], passedOnWindows...)
	}
	var env []string
	for _, e := range append(names[:len(names):len(names)], entries...) {
		if strings.Contains(e, "=") {
			env = append(env, e)
		} else if value, ok := os.LookupEnv(e); ok {
			env = append(env, e+"="+value)
		}
	}
	return env
}
