package plugins

import (
	"fmt"
	"strings"
)

// A DiedError says that a plugin's process ended, or had to be killed, before it answered. For a backend it wraps
// [backends.ErrLost], because the state was in the process; a compressor's next call starts the plugin anew.
type DiedError struct {
	Plugin string // its program
	Call   string // what it was asked for
	Killed string // why the host killed it; "" if it died by itself
	State  string // how it ended: "exit status 2", "signal: killed"
	Output string // the last lines of its output, at most 8 KiB

	lost error // backends.ErrLost for a backend
}

// Error returns everything in the fields, the output indented below.
func (e *DiedError) Error() string {
	s := fmt.Sprintf("plugins: %s: %s: the plugin died (%s)", e.Plugin, e.Call, e.State)
	if e.Killed != "" {
		s = fmt.Sprintf("plugins: %s: %s: the plugin was killed (%s): %s", e.Plugin, e.Call, e.State, e.Killed)
	}
	if out := strings.TrimSpace(e.Output); out != "" {
		s += "\nits last output:\n    " + strings.ReplaceAll(out, "\n", "\n    ")
	}
	return s
}

func (e *DiedError) Unwrap() error { return e.lost }

// A ReplyError says that a plugin answered something that cannot be used, and was not.
type ReplyError struct {
	Plugin string // its program
	Tensor string // what the answer was about; "" if it is wrong as a whole
	Err    error  // what was expected and what came
}

// Error returns "plugins: PLUGIN: tensor TENSOR: CAUSE".
func (e *ReplyError) Error() string {
	if e.Tensor != "" {
		return fmt.Sprintf("plugins: %s: tensor %s: %v", e.Plugin, e.Tensor, e.Err)
	}
	return fmt.Sprintf("plugins: %s: %v", e.Plugin, e.Err)
}

func (e *ReplyError) Unwrap() error { return e.Err }
