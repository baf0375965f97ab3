package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// faults collects what is wrong with the settings of one value.
type faults struct {
	of   fmt.Stringer
	errs faultList
}

// require records a fault if ok is false.
func (f *faults) require(ok bool, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

// add records err as a fault if it is not nil.
func (f *faults) add(err error) {
	if err != nil {
		f.errs = append(f.errs, err)
	}
}

// err returns all faults as one error, or nil.
func (f *faults) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return fmt.Errorf("optim: %v: %w", f.of, f.errs)
}

// faultList is several errors on one line.
type faultList []error

func (l faultList) Unwrap() []error { return l }

func (l faultList) Error() string {
	texts := make([]string, len(l))
	for i, err := range l {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// checkOptimizer returns an error if o is nil or its settings are out of range.
func checkOptimizer(o Optimizer) error {
	if o == nil {
		return errors.New("Optimizer is nil; give one, for example optim.SGD{Momentum: 0.9}")
	}
	return check(o)
}

// check returns the error of the method Check of v, without the package's name, or nil if v has no
// such method.
func check(v any) error {
	checked, ok := v.(interface{ Check() error })
	if !ok {
		return nil
	}
	if err := checked.Check(); err != nil {
		return inner{err}
	}
	return nil
}

// inner is an error of a setting inside an error of this package. Its text has no package name.
type inner struct{ error }

func (e inner) Unwrap() error { return e.error }

func (e inner) Error() string {
	s := e.error.Error()
	for _, name := range []string{"optim: ", "compress: "} {
		s = strings.TrimPrefix(s, name)
	}
	return s
}

// positive reports whether v is finite and above 0, atLeastZero whether it is finite and not
// negative.
func positive(v float64) bool    { return v > 0 && v <= math.MaxFloat64 }
func atLeastZero(v float64) bool { return v >= 0 && v <= math.MaxFloat64 }
