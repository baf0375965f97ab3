//go:build !darwin && !linux

package dynlib

import "errors"

func open(string) (uintptr, error) { return 0, errors.ErrUnsupported }

func symbol(uintptr, string) (uintptr, error) { return 0, errors.ErrUnsupported }

func register(any, uintptr) {}
