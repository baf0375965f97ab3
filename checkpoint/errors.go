package checkpoint

import (
	"fmt"
	"strings"
)

// A FormatError says that a file is damaged, or not a checkpoint of this version.
type FormatError struct {
	Offset  int64 // the byte of the file at which it shows
	Problem string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("checkpoint: damaged at byte %d: %s", e.Offset, e.Problem)
}

func damaged(offset int64, format string, args ...any) error {
	return &FormatError{offset, fmt.Sprintf(format, args...)}
}

// A LevelError says that a file does not have the level that was asked for, or that one must be chosen.
type LevelError struct {
	Want string // "": none was named
	Have []string
}

func (e *LevelError) Error() string {
	have := strings.Join(e.Have, ", ")
	switch {
	case len(e.Have) == 0:
		return "checkpoint: the file has no levels"
	case e.Want == "":
		return fmt.Sprintf("checkpoint: the file has %d levels, name one of %s", len(e.Have), have)
	}
	return fmt.Sprintf("checkpoint: no level %q, the file has %s", e.Want, have)
}
