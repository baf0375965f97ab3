package optim_test

import (
	"math"
	"testing"

	"github.com/compressaware/cram/sdk/optim"
)

// TestSchedules compares the schedules with numbers computed by hand, those of Cosine from the
// recipes of the CrAM paper: cos is ½ after a third of the way.
func TestSchedules(t *testing.T) {
	cifar := optim.Cosine{Peak: 0.1, WarmupEpochs: 5}
	imagenet := optim.Cosine{Peak: 0.2, WarmupEpochs: 5}
	k95 := optim.Cosine{Peak: 0.1}
	steps := optim.MultiStep{Base: 0.1, Milestones: []int{30, 60}, Gamma: 0.1}
	linear := optim.Linear{Peak: 1, WarmupSteps: 2}
	epoch := func(e, of int) optim.Progress {
		return optim.Progress{Epoch: e, Epochs: of, Step: 100 * e, Steps: 100 * of}
	}
	step := func(s, of int) optim.Progress { return optim.Progress{Epochs: 1, Step: s, Steps: of} }
	for _, c := range []struct {
		schedule optim.Schedule
		at       optim.Progress
		want     float64
	}{
		{cifar, epoch(0, 200), 0.02}, {cifar, epoch(3, 200), 0.08}, {cifar, epoch(4, 200), 0.1}, {cifar, epoch(5, 200), 0.1},
		{cifar, epoch(70, 200), 0.075}, {cifar, epoch(135, 200), 0.025}, {cifar, epoch(199, 200), 0.1 * 0.5 * (1 - math.Cos(math.Pi/195))},
		{imagenet, epoch(24, 100), 0.1809016994}, {imagenet, epoch(2, 100), 0.12},
		{k95, epoch(0, 180), 0.1}, {k95, epoch(60, 180), 0.075}, {k95, epoch(90, 180), 0.05},
		{optim.Cosine{Peak: 1, WarmupEpochs: 3}, epoch(2, 3), 1}, {optim.Cosine{Peak: 1}, epoch(0, 1), 1},
		{steps, epoch(0, 90), 0.1}, {steps, epoch(29, 90), 0.1}, {steps, epoch(30, 90), 0.01}, {steps, epoch(60, 90), 0.001},
		{linear, step(0, 10), 0.5}, {linear, step(1, 10), 1}, {linear, step(2, 10), 1}, {linear, step(3, 10), 0.875}, {linear, step(9, 10), 0.125},
		{optim.Linear{Peak: 1, WarmupSteps: 4}, step(3, 4), 1}, {optim.Linear{Peak: 1}, step(0, 4), 1},
		{optim.Constant(0.3), epoch(7, 9), 0.3},
	} {
		if got := c.schedule.LR(c.at); math.Abs(got-c.want) > 1e-10 {
			t.Errorf("%v at %+v: %v, want %v", c.schedule, c.at, got, c.want)
		}
	}
}

// TestSchedulesName holds the texts, which are part of a network's recipe.
func TestSchedulesName(t *testing.T) {
	for want, s := range map[string]optim.Schedule{
		"constant(0.3)":                                    optim.Constant(0.3),
		"cosine(peak=0.1 warmup=5)":                        optim.Cosine{Peak: 0.1, WarmupEpochs: 5},
		"linear(peak=3e-05 warmup=100)":                    optim.Linear{Peak: 3e-5, WarmupSteps: 100},
		"multistep(base=0.1 milestones=[30 60] gamma=0.1)": optim.MultiStep{Base: 0.1, Milestones: []int{30, 60}, Gamma: 0.1},
	} {
		if s.String() != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
}
