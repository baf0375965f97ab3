package optim

import (
	"fmt"
	"math"
)

// Progress says how far a training is. Everything counts from 0.
type Progress struct {
	Epoch, Epochs int // this epoch, and how many there are
	Step, Steps   int // this step over all epochs, and how many there are
}

// A Schedule gives the learning rate of a step.
type Schedule interface {
	fmt.Stringer
	LR(Progress) float64
}

// Constant is one learning rate throughout.
type Constant float64

func (c Constant) String() string { return fmt.Sprintf("constant(%g)", float64(c)) }

// LR returns the rate.
func (c Constant) LR(Progress) float64 { return float64(c) }

// Cosine warms up linearly for Warmup epochs and then follows half a cosine to 0, once an epoch (paper §4):
//
//	e < Warmup:  Peak·(e+1)/Warmup
//	else:        Peak·½(1 + cos(π(e-Warmup)/(Epochs-Warmup)))
type Cosine struct {
	Peak   float64
	Warmup int // epochs
}

func (c Cosine) String() string { return fmt.Sprintf("cosine(peak=%g warmup=%d)", c.Peak, c.Warmup) }

// LR returns the rate of p.Epoch.
func (c Cosine) LR(p Progress) float64 {
	if p.Epoch < c.Warmup {
		return c.Peak * float64(p.Epoch+1) / float64(c.Warmup)
	}
	return c.Peak * 0.5 * (1 + math.Cos(math.Pi*float64(p.Epoch-c.Warmup)/float64(p.Epochs-c.Warmup)))
}

// MultiStep multiplies Base by Gamma at each of Milestones (epochs).
type MultiStep struct {
	Base       float64
	Milestones []int
	Gamma      float64
}

func (m MultiStep) String() string {
	return fmt.Sprintf("multistep(base=%g milestones=%v gamma=%g)", m.Base, m.Milestones, m.Gamma)
}

// LR returns the rate of p.Epoch.
func (m MultiStep) LR(p Progress) float64 {
	lr := m.Base
	for _, e := range m.Milestones {
		if p.Epoch >= e {
			lr *= m.Gamma
		}
	}
	return lr
}

// Linear warms up for Warmup steps and then falls linearly to 0 at the end, at every step: the usual fine-tuning schedule.
type Linear struct {
	Peak   float64
	Warmup int // steps
}

func (l Linear) String() string { return fmt.Sprintf("linear(peak=%g warmup=%d)", l.Peak, l.Warmup) }

// LR returns the rate of p.Step.
func (l Linear) LR(p Progress) float64 {
	if p.Step < l.Warmup {
		return l.Peak * float64(p.Step+1) / float64(l.Warmup)
	}
	return l.Peak * float64(p.Steps-p.Step) / float64(max(p.Steps-l.Warmup, 1))
}
