// Package null tells a value that is not there from one that is, in interfaces that callers fill.
package null

import "reflect"

// Is reports whether x is nil, or a nil pointer that an interface hides: `x == nil` is false of it and its methods panic.
func Is(x any) bool {
	v := reflect.ValueOf(x)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
