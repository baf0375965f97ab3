package data

import (
	"fmt"
	"io/fs"
)

// FileError says which file of a data set is unfit, where in it, and what to do.
type FileError struct {
	File   string // path
	Offset int64  // byte at which reading stopped, after decompression; -1 where no byte is to blame
	Reason string // what was expected and what was there; empty when Err says it
	Remedy string // what to do
	Err    error  // the cause, or nil
}

// Error returns "data: FILE: at byte OFFSET: REASON: CAUSE (REMEDY)".
func (e *FileError) Error() string {
	s := "data: " + e.File
	if e.Offset >= 0 {
		s += fmt.Sprintf(": at byte %d", e.Offset)
	}
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	if p, ok := e.Err.(*fs.PathError); ok && p.Path == e.File { // the file is named already
		s += ": " + p.Err.Error()
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }
