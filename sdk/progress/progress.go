package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/compressaware/cram/sdk"
)

// A Display shows the steps and epochs of one training, or the files of one download. Its methods are for one goroutine
// at a time, which is how sdk.Trainer and data.Fetch call them. The zero Display, and nil, show nothing.
type Display struct {
	view
	now   func() time.Time
	speed speed
}

func (d *Display) blank() bool { return d == nil || d.view == nil }

// A view is one way of showing.
type view interface {
	step(s sdk.Step, imagesPerSecond float64)
	epoch(line []field)
	bytes(file string, done, total int64)
	close() error
}

// New returns a Display on w: a bar when w is a terminal, log lines otherwise, nothing when it is nil.
func New(w io.Writer) *Display {
	if w == nil {
		return &Display{}
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &Display{view: newBar(w), now: time.Now}
	}
	return &Display{view: newLines(w, time.Now), now: time.Now}
}

// Step shows one training step; use it as sdk.Trainer.OnStep. It never fails.
func (d *Display) Step(s sdk.Step) error {
	if d.blank() {
		return nil
	}
	d.step(s, d.speed.add(s.Examples, d.now()))
	return nil
}

// Epoch shows one finished epoch; use it as sdk.Trainer.OnEpoch. It never fails.
func (d *Display) Epoch(e sdk.Epoch) error {
	if d.blank() {
		return nil
	}
	d.epoch(describe(e, d.speed.mean()))
	d.speed = speed{}
	return nil
}

// Bytes shows how much of a file is there; use it as data.FetchOptions.Progress.
func (d *Display) Bytes(file string, done, total int64) {
	if !d.blank() {
		d.bytes(file, done, total)
	}
}

// Close leaves the terminal clean. The Display must not be used afterwards.
func (d *Display) Close() error {
	if d.blank() {
		return nil
	}
	return d.close()
}

// A field is one named number of an epoch, formatted for people.
type field struct{ name, value string }

// describe returns what is worth saying about an epoch.
func describe(e sdk.Epoch, imagesPerSecond float64) []field {
	line := []field{
		{"epoch", fmt.Sprintf("%d/%d", e.Epoch+1, e.Epochs)},
		{"lr", fmt.Sprintf("%.4g", e.LR)},
		{"loss", fmt.Sprintf("%.4f", e.Loss)},
	}
	if v := e.Validation; v != nil {
		line = append(line, field{"val_accuracy", fmt.Sprintf("%.4f", v.Accuracy)}, field{"val_loss", fmt.Sprintf("%.4f", v.Loss)})
	}
	if imagesPerSecond > 0 {
		line = append(line, field{"images_per_s", fmt.Sprintf("%.0f", imagesPerSecond)})
	}
	return line
}

func join(line []field) string {
	parts := make([]string, len(line))
	for i, f := range line {
		parts[i] = f.name + " " + f.value
	}
	return strings.Join(parts, "  ")
}

// speed measures examples a second since its first step, whose own time is unknown and does not count.
type speed struct {
	start, last time.Time
	examples    int
}

// add counts a step that ended now and returns the mean speed so far, 0 at the first.
func (s *speed) add(examples int, now time.Time) float64 {
	s.last = now
	if s.start.IsZero() {
		s.start = now
		return 0
	}
	s.examples += examples
	return s.mean()
}

func (s *speed) mean() float64 {
	elapsed := s.last.Sub(s.start).Seconds()
	if elapsed <= 0 {
		return 0
	}
	return float64(s.examples) / elapsed
}
