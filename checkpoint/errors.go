package checkpoint

import (
	"fmt"
	"strings"
)

// FormatError is returned (wrapped) by [Open], [NewReader] and the methods of a [Reader] when a
// file is damaged, not a checkpoint, or of an unknown version.
type FormatError struct {
	Offset  int64 // of the first wrong byte in the file
	Problem string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("checkpoint: damaged at byte %d: %s", e.Offset, e.Problem)
}

func damaged(offset int64, format string, args ...any) error {
	return &FormatError{offset, fmt.Sprintf(format, args...)}
}

// LevelError is returned by [Reader.Level] and [Reader.LevelInfo] when the file does not have the
// named level, or when no level is named and the file has several.
type LevelError struct {
	Want string   // the name; "": none was named
	Have []string // the levels of the file
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
