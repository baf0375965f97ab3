package progress

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/compressaware/cram/sdk"
)

// A Display shows the steps and epochs of one training, or the files of one download. Its methods
// are for one goroutine at a time; sdk.Trainer and data.Fetch call them that way. The zero Display
// shows nothing.
type Display struct {
	view
	now   func() time.Time
	speed speed
}

// A view is a form of output.
type view interface {
	step(s sdk.Step, imagesPerSecond float64)
	epoch(line []field)
	bytes(file string, done, total int64)
	close() error
}

// New returns a Display that writes to w: a bar if w is a terminal, log lines otherwise. If w is
// nil, the Display shows nothing.
func New(w io.Writer) *Display {
	if w == nil {
		return &Display{}
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &Display{view: newBar(w), now: time.Now}
	}
	return &Display{view: newLines(w, time.Now), now: time.Now}
}

// Step shows one training step. Use it as sdk.Trainer.OnStep. It always returns nil.
func (d *Display) Step(s sdk.Step) error {
	if d.view == nil {
		return nil
	}
	d.step(s, d.speed.add(s.Examples, d.now()))
	return nil
}

// Epoch shows one finished epoch. Use it as sdk.Trainer.OnEpoch. It always returns nil.
func (d *Display) Epoch(e sdk.Epoch) error {
	if d.view == nil {
		return nil
	}
	d.epoch(describe(e, d.speed.mean()))
	d.speed = speed{}
	return nil
}

// Bytes shows the number of downloaded bytes of a file. Use it as data.FetchOptions.Progress.
func (d *Display) Bytes(file string, done, total int64) {
	if d.view != nil {
		d.bytes(file, done, total)
	}
}

// Close removes the bar from the terminal. The Display cannot be used after it.
func (d *Display) Close() error {
	if d.view == nil {
		return nil
	}
	return d.close()
}

// A field is one named number of an epoch, formatted for output.
type field struct{ name, value string }

// describe returns the fields of an epoch.
func describe(e sdk.Epoch, imagesPerSecond float64) []field {
	line := []field{
		{"epoch", fmt.Sprintf("%d/%d", e.Epoch+1, e.Epochs)},
		{"lr", fmt.Sprintf("%.4g", e.LR)},
		{"loss", fmt.Sprintf("%.4f", e.Loss)},
	}
	if v := e.Validation; v != nil {
		for _, name := range slices.Sorted(maps.Keys(v.Values)) {
			line = append(line, field{"val_" + name, fmt.Sprintf("%.4f", v.Values[name])})
		}
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

// speed measures examples per second since the end of its first step. The time of that step is
// unknown, so its examples do not count.
type speed struct {
	start, last time.Time
	examples    int
}

// add counts a step that ended now and returns the mean speed, 0 after the first step.
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
