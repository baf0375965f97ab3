package plugins

import (
	"fmt"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/sdk/compress"
)

// A DiedError is returned by a call whose plugin has ended, or was killed, before it replied. For a
// backend it wraps [backends.ErrLost], because the state was in the process. The next call of a
// compressor restarts the plugin.
type DiedError struct {
	Plugin string // path of the program
	Call   string // the call that failed: "compress"
	Killed string // why the host killed the process; "": it ended by itself
	State  string // how the process ended: "exit status 2", "signal: killed"
	Output string // last lines of its output, at most 8 KiB

	lost error // backends.ErrLost for a backend, otherwise nil
}

// Error returns all fields on one line. A long output is shortened to its start and its end.
func (e *DiedError) Error() string {
	s := fmt.Sprintf("plugins: %s: %s: the plugin died (%s)", e.Plugin, e.Call, e.State)
	if e.Killed != "" {
		s = fmt.Sprintf("plugins: %s: %s: the plugin was killed (%s): %s", e.Plugin, e.Call, e.State, e.Killed)
	}
	if out := joinLines(e.Output); out != "" {
		s += "; its last output: " + shorten(out, maxOutput)
	}
	return s
}

func (e *DiedError) Unwrap() error { return e.lost }

// A ReplyError is returned by a call whose plugin sent an invalid reply, for example a mask of the
// wrong shape or values that it did not declare. The reply is not used. An error that the plugin
// returns on purpose, and a panic that it recovers, are not a ReplyError.
type ReplyError struct {
	Plugin string // path of the program
	Tensor string // the tensor or slot that the fault is about; "": the whole reply
	Err    error  // the fault
}

// Error returns "plugins: PLUGIN: tensor TENSOR: FAULT".
func (e *ReplyError) Error() string {
	fault := fmt.Sprint(e.Err)
	if result, ok := e.Err.(*compress.ResultError); ok {
		fault = result.Cause // the other fields of result are in e
	}
	if e.Tensor != "" {
		return fmt.Sprintf("plugins: %s: tensor %s: %s", e.Plugin, e.Tensor, fault)
	}
	return fmt.Sprintf("plugins: %s: %s", e.Plugin, fault)
}

func (e *ReplyError) Unwrap() error { return e.Err }

// closedError is returned by the calls of a compressor or a backend after Close.
func closedError(program string) error {
	return fmt.Errorf("plugins: %s: %w", program, backends.ErrClosed)
}
