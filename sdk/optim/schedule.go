package optim

import (
	"fmt"
	"math"
)

// Progress is a position in a training. All numbers count from 0.
type Progress struct {
	// Epoch is the current epoch, Epochs the number of epochs.
	Epoch, Epochs int
	// Step is the current step counted over all epochs, Steps the number of steps.
	Step, Steps int
}

// A Schedule gives the learning rate of a step.
type Schedule interface {
	// String returns the name and the settings on one line. A training resumes only from a
	// checkpoint with the same text.
	fmt.Stringer

	// LR returns the learning rate of the step at p.
	LR(p Progress) float64
}

// Constant is one learning rate for the whole training.
//
//	lr = Constant
type Constant float64

// String returns the settings, for example "constant(0.1)".
func (c Constant) String() string { return fmt.Sprintf("constant(%g)", float64(c)) }

// Check returns an error if the rate is not above 0.
func (c Constant) Check(Progress) error {
	f := faults{of: c}
	f.require(positive(float64(c)), "the rate is %g, want above 0", float64(c))
	return f.err()
}

// LR returns the rate.
func (c Constant) LR(Progress) float64 { return float64(c) }

// Cosine rises linearly for WarmupEpochs epochs and then follows half a cosine to 0. The rate
// changes once in each epoch.
//
//	Epoch < WarmupEpochs:  lr = Peak·(Epoch+1)/WarmupEpochs
//	otherwise:             lr = Peak·½·(1 + cos(π·(Epoch-WarmupEpochs)/(Epochs-WarmupEpochs)))
//
// The recipe of the CrAM paper for CIFAR-10 is Peak 0.1 and WarmupEpochs 5 with 200 epochs, that
// for ImageNet is Peak 0.2 and WarmupEpochs 5 with 100 epochs.
//
// Reference: https://arxiv.org/abs/1608.03983.
type Cosine struct {
	// Peak is the largest rate, above 0. There is no default.
	Peak float64
	// WarmupEpochs is the number of epochs with a rising rate, at most the number of epochs. 0
	// means none.
	WarmupEpochs int
}

// String returns the settings, for example "cosine(peak=0.1 warmup=5)".
func (c Cosine) String() string {
	return fmt.Sprintf("cosine(peak=%g warmup=%d)", c.Peak, c.WarmupEpochs)
}

// Check returns an error if a setting is out of range for a training of length.Epochs.
func (c Cosine) Check(length Progress) error {
	f := faults{of: c}
	f.require(positive(c.Peak), "Peak is %g, want above 0", c.Peak)
	f.require(c.WarmupEpochs >= 0 && c.WarmupEpochs <= length.Epochs, "WarmupEpochs is %d epochs, want 0 to %d, the number of epochs", c.WarmupEpochs, length.Epochs)
	return f.err()
}

// LR returns the rate of p.Epoch.
func (c Cosine) LR(p Progress) float64 {
	if p.Epoch < c.WarmupEpochs {
		return c.Peak * float64(p.Epoch+1) / float64(c.WarmupEpochs)
	}
	return c.Peak * 0.5 * (1 + math.Cos(math.Pi*float64(p.Epoch-c.WarmupEpochs)/float64(p.Epochs-c.WarmupEpochs)))
}

// MultiStep multiplies the rate by a factor at given epochs.
//
//	lr = Base·Gammaᵏ,   k = the number of milestones ≤ Epoch
//
// The recipe of ResNet-20 for CIFAR-10 is Base 0.1, Gamma 0.1 and milestones at a half and at three
// quarters of the training.
//
// Reference: https://arxiv.org/abs/1512.03385.
type MultiStep struct {
	// Base is the first rate, above 0. There is no default.
	Base float64
	// Milestones are the epochs at which the rate changes, counted from 0. Nil means never.
	Milestones []int
	// Gamma is the factor at each milestone, at least 0. The zero value sets the rate to 0.
	Gamma float64
}

// String returns the settings, for example "multistep(base=0.1 milestones=[30 60] gamma=0.1)".
func (m MultiStep) String() string {
	return fmt.Sprintf("multistep(base=%g milestones=%v gamma=%g)", m.Base, m.Milestones, m.Gamma)
}

// Check returns an error if a setting is out of range.
func (m MultiStep) Check(Progress) error {
	f := faults{of: m}
	f.require(positive(m.Base), "Base is %g, want above 0", m.Base)
	f.require(atLeastZero(m.Gamma), "Gamma is %g, want 0 or more", m.Gamma)
	for i, e := range m.Milestones {
		f.require(e >= 0, "Milestones[%d] is epoch %d, want 0 or more", i, e)
	}
	return f.err()
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

// Linear rises linearly for WarmupSteps steps and then falls linearly to 0. The rate changes at
// each step. It is the usual schedule for fine-tuning transformers.
//
//	Step < WarmupSteps:  lr = Peak·(Step+1)/WarmupSteps
//	otherwise:           lr = Peak·(Steps-Step)/(Steps-WarmupSteps)
//
// Reference: https://arxiv.org/abs/1810.04805.
type Linear struct {
	// Peak is the largest rate, above 0. There is no default.
	Peak float64
	// WarmupSteps is the number of steps with a rising rate, at most the number of steps. 0 means
	// none.
	WarmupSteps int
}

// String returns the settings, for example "linear(peak=3e-05 warmup=100)".
func (l Linear) String() string {
	return fmt.Sprintf("linear(peak=%g warmup=%d)", l.Peak, l.WarmupSteps)
}

// Check returns an error if a setting is out of range for a training of length.Steps.
func (l Linear) Check(length Progress) error {
	f := faults{of: l}
	f.require(positive(l.Peak), "Peak is %g, want above 0", l.Peak)
	f.require(l.WarmupSteps >= 0 && l.WarmupSteps <= length.Steps, "WarmupSteps is %d steps, want 0 to %d, the number of steps", l.WarmupSteps, length.Steps)
	return f.err()
}

// LR returns the rate of p.Step.
func (l Linear) LR(p Progress) float64 {
	if p.Step < l.WarmupSteps {
		return l.Peak * float64(p.Step+1) / float64(l.WarmupSteps)
	}
	return l.Peak * float64(p.Steps-p.Step) / float64(max(p.Steps-l.WarmupSteps, 1))
}
