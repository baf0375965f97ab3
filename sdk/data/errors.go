package data

import (
	"fmt"
	"io/fs"
)

// A FileError describes a file of a data set that cannot be read. [CIFAR10], [MNIST],
// [FashionMNIST], [Folder] and [Image] return it, as does Read of a set from Folder.
type FileError struct {
	// File is the path of the file.
	File string
	// Offset is the byte at which reading stopped, after decompression; -1 if the error is not at a
	// byte.
	Offset int64
	// Reason states what was wanted and what was found; "" if Err states it.
	Reason string
	// Remedy states what to do; "" if nothing is known to help.
	Remedy string
	// Err is the cause; nil if there is no other error.
	Err error
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
	if p, ok := e.Err.(*fs.PathError); ok && p.Path == e.File { // s contains the name of the file
		s += ": " + p.Err.Error()
	} else if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }
