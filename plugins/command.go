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

// A Command says which program to launch as a plugin, and how patient to be with it. Path is required.
type Command struct {
	Path   string
	Args   []string // without the program's name
	Dir    string   // working folder; "": the host's
	SHA256 []byte   // of the program's file: exactly these bytes are executed, or nothing; nil: not pinned

	// Env is what the plugin sees of the environment, besides PATH, TMPDIR, LANG, LC_ALL, TZ and what Windows needs: "NAME"
	// passes the host's variable through, "NAME=VALUE" sets one.
	Env []string

	Insecure bool // no mutual TLS on the private socket
	Stream   bool // no shared memory even where it could be

	StartTimeout time.Duration // from the start to the first answer; 0: 10 s
	CallTimeout  time.Duration // for one call, before the plugin is killed; 0: 10 min
	StopTimeout  time.Duration // for calls to end once they are cancelled, or the plugin is closed, before it is killed; 0: 5 s
	Heartbeat    time.Duration // how long a plugin may leave a health check unanswered before it is killed; 0: 10 s

	Log *slog.Logger // gets the plugin's output, line by line, and its starts and ends; nil: silent
}

// withDefaults returns the command with every zero field filled in.
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
			return c, fmt.Errorf("plugins: %s: Command.%s is %v, must be 0 (%v) or more", c.Path, d.name, *d.value, d.zero)
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

// spec returns what package process is to start.
func (c Command) spec() process.Spec {
	log := c.Log.With("plugin", c.Path)
	return process.Spec{
		Path: c.Path, Args: c.Args, Dir: c.Dir, SHA256: c.SHA256,
		Env: environment(c.Env),
		Log: func(line string) { log.Info(line) },
	}
}

// passed are the variables of the host's environment that every plugin sees.
var passed = []string{"PATH", "TMPDIR", "LANG", "LC_ALL", "TZ"}

// passedOnWindows are those without which programs do not start there.
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
