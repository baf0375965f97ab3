package optim

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// CheckOptimizer returns an error that names every setting of r that is out of range. A rule of one's own takes part by a method
// Check() error; one without it passes.
func CheckOptimizer(r Optimizer) error {
	if r == nil {
		return errors.New("optim: the rule is nil; give one, for example optim.SGD{Momentum: 0.9}")
	}
	if c, ok := r.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

// CheckSchedule returns an error that names every setting of s that is out of range or does not fit a training of
// length.Epochs and length.Steps. A schedule of one's own takes part by a method Check(Progress) error; one without it passes.
func CheckSchedule(s Schedule, length Progress) error {
	if s == nil {
		return errors.New("optim: the schedule is nil; give one, for example optim.Cosine{Peak: 0.1}")
	}
	if c, ok := s.(interface{ Check(Progress) error }); ok {
		return c.Check(length)
	}
	return nil
}

// faults gathers what is wrong with the settings of one value.
type faults struct {
	of   fmt.Stringer
	errs []error
}

// unless records a fault unless ok.
func (f *faults) unless(ok bool, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

func (f *faults) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return fmt.Errorf("optim: %v: %w", f.of, errors.Join(f.errs...))
}

// within is an error of this package inside one that begins with its name.
type within struct{ error }

func (w within) Error() string { return strings.TrimPrefix(w.error.Error(), "optim: ") }
func (w within) Unwrap() error { return w.error }

// positive and notNegative hold for finite numbers only.
func positive(v float64) bool    { return v > 0 && v <= math.MaxFloat64 }
func notNegative(v float64) bool { return v >= 0 && v <= math.MaxFloat64 }

// Check returns an error unless the settings are in range.
func (s SGD) Check() error {
	f := faults{of: s}
	f.unless(s.Momentum >= 0 && s.Momentum < 1, "Momentum is %g, want 0 or more and below 1", s.Momentum)
	f.unless(notNegative(s.WeightDecay), "WeightDecay is %g, want 0 or more", s.WeightDecay)
	f.unless(!s.Nesterov || s.Momentum != 0, "Nesterov without Momentum; set it, for example to 0.9")
	return f.err()
}

// Check returns an error unless the settings are in range.
func (a Adam) Check() error { return a.check(a) }

// Check returns an error unless the settings are in range.
func (a AdamW) Check() error { return Adam(a).check(a) }

func (a Adam) check(of fmt.Stringer) error {
	a = a.defaults()
	f := faults{of: of}
	f.unless(a.Beta1 > 0 && a.Beta1 < 1, "Beta1 is %g, want between 0 and 1", a.Beta1)
	f.unless(a.Beta2 > 0 && a.Beta2 < 1, "Beta2 is %g, want between 0 and 1", a.Beta2)
	f.unless(positive(a.Eps), "Eps is %g, want above 0", a.Eps)
	f.unless(notNegative(a.WeightDecay), "WeightDecay is %g, want 0 or more", a.WeightDecay)
	return f.err()
}

// Check returns an error unless MaxNorm is above 0 and Rule is in order.
func (c Clip) Check() error {
	f := faults{of: c}
	f.unless(positive(c.MaxNorm), "MaxNorm is %g, want above 0", c.MaxNorm)
	return errors.Join(f.err(), CheckOptimizer(c.Optimizer))
}

// Check returns an error unless there is a group, and every group has a Match and a Rule that is in order.
func (gs Groups) Check() error {
	f := faults{of: gs}
	f.unless(len(gs) > 0, "no group; end with one that matches optim.All")
	for _, g := range gs {
		f.unless(g.Match != nil, "Match of group %q is nil; optim.All matches every parameter", g.Name)
		if err := CheckOptimizer(g.Optimizer); err != nil {
			f.unless(false, "group %q: %w", g.Name, within{err})
		}
	}
	return f.err()
}

// Check returns an error unless Rho is 0 or more.
func (a Ascend) Check() error {
	f := faults{of: a}
	f.unless(notNegative(a.Rho), "Rho is %g, want 0 or more", a.Rho)
	return f.err()
}

// Check returns an error unless the rate is above 0.
func (c Constant) Check(Progress) error {
	f := faults{of: c}
	f.unless(positive(float64(c)), "the rate is %g, want above 0", float64(c))
	return f.err()
}

// Check returns an error unless Peak is above 0 and the warm-up ends within the training.
func (c Cosine) Check(length Progress) error {
	f := faults{of: c}
	f.unless(positive(c.Peak), "Peak is %g, want above 0", c.Peak)
	f.unless(c.Warmup >= 0 && c.Warmup <= length.Epochs, "Warmup is %d epochs, want 0 to %d, the length of the training", c.Warmup, length.Epochs)
	return f.err()
}

// Check returns an error unless Base is above 0, Gamma is 0 or more and no milestone lies before the beginning.
func (m MultiStep) Check(Progress) error {
	f := faults{of: m}
	f.unless(positive(m.Base), "Base is %g, want above 0", m.Base)
	f.unless(notNegative(m.Gamma), "Gamma is %g, want 0 or more", m.Gamma)
	for i, e := range m.Milestones {
		f.unless(e >= 0, "Milestones[%d] is epoch %d, want 0 or more", i, e)
	}
	return f.err()
}

// Check returns an error unless Peak is above 0 and the warm-up ends within the training.
func (l Linear) Check(length Progress) error {
	f := faults{of: l}
	f.unless(positive(l.Peak), "Peak is %g, want above 0", l.Peak)
	f.unless(l.Warmup >= 0 && l.Warmup <= length.Steps, "Warmup is %d steps, want 0 to %d, the length of the training", l.Warmup, length.Steps)
	return f.err()
}
