// Package dynlib opens shared libraries without cgo and binds their functions. No other package
// links purego.
//
//	l, err := dynlib.Open("libcuda.so.1")
//	var count func(n *int32) int32
//	err = l.Bind("cuDeviceGetCount", &count)
//
// A library is never closed. Bound functions remain valid, and so does the memory of threads and
// exit handlers that the library has started.
package dynlib

import (
	"errors"
	"fmt"
)

// A Library is an open shared library. It is safe for concurrent use.
type Library struct {
	name   string
	handle uintptr
}

// Open opens the first of the given libraries that can be opened. A name is an absolute path, or a
// name that the loader of the system finds. The error contains the reason for each name. On systems
// other than Linux and macOS it wraps [errors.ErrUnsupported].
func Open(names ...string) (*Library, error) {
	if len(names) == 0 {
		return nil, errors.New("dynlib: want the name of a library, got none")
	}
	var attempts []error
	for _, name := range names {
		handle, err := open(name)
		if err == nil {
			return &Library{name, handle}, nil
		}
		attempts = append(attempts, fmt.Errorf("%s: %w", name, err))
	}
	return nil, fmt.Errorf("dynlib: no library could be opened: %w", errors.Join(attempts...))
}

// Name returns the name by which the library was opened.
func (l *Library) Name() string { return l.name }

// Bind sets *f to a function that calls the function of this name in the library. f is a pointer to
// a variable of a function type. Its parameters and result have the sizes of those in C, which Bind
// cannot check. It is an error if the library has no such function or the type cannot be called.
func (l *Library) Bind(name string, f any) (err error) {
	address, err := symbol(l.handle, name)
	if err != nil {
		return fmt.Errorf("dynlib: %s: %w", l.name, err)
	}
	defer func() {
		if r := recover(); r != nil { // purego panics for a type that it cannot call
			err = fmt.Errorf("dynlib: %s: %s: %v", l.name, name, r)
		}
	}()
	register(f, address)
	return nil
}
