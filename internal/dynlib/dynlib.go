// Package dynlib opens shared libraries of the system without cgo and binds their functions. It is
// the only package that links purego, so that the traps of foreign code are in one place.
//
//	l, err := dynlib.Open("libcuda.so.1")
//	var count func(n *int32) int32
//	err = l.Bind("cuDeviceGetCount", &count)
//
// A library stays open for the life of the process: functions that are bound stay valid, and code
// that the library has started (threads, exit handlers) keeps its memory.
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

// Open opens the first of the given libraries that can be opened: absolute paths, or names that the
// system's loader resolves. The error lists every attempt with its reason. On systems where
// libraries cannot be opened without cgo it wraps [errors.ErrUnsupported].
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

// Name returns the name that was opened.
func (l *Library) Name() string { return l.name }

// Bind makes *f call the function of the given name. f is a pointer to a variable of a function
// type whose parameters and result have the sizes of the C declaration: there is nothing in a
// library to check them against. It is an error if the library has no such function or the type
// cannot be called.
func (l *Library) Bind(name string, f any) (err error) {
	address, err := symbol(l.handle, name)
	if err != nil {
		return fmt.Errorf("dynlib: %s: %w", l.name, err)
	}
	defer func() {
		if r := recover(); r != nil { // how purego reports a type that it cannot call
			err = fmt.Errorf("dynlib: %s: %s: %v", l.name, name, r)
		}
	}()
	register(f, address)
	return nil
}
