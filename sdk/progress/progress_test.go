package progress

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/optim"
)

// clock is a time that tests set.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func step(i int) sdk.Step {
	return sdk.Step{Progress: optim.Progress{Epoch: i / 10, Epochs: 2, Step: i, Steps: 20}, LR: 0.1, Loss: 1.5, Examples: 64}
}

var epoch = sdk.Epoch{Epoch: 0, Epochs: 2, LR: 0.1, Loss: 1.25, Validation: &sdk.Score{Values: map[string]float64{"accuracy": 0.5, "cross_entropy": 1.75}}}

// TestLines runs an epoch of ten steps of 4 s and requires lines after 12, 24 and 36 s and one for
// the epoch.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	d := &Display{view: newLines(&out, c.now), now: c.now}
	for i := range 10 {
		c.Time = c.Add(4 * time.Second)
		d.Step(step(i))
	}
	d.Epoch(epoch)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, "level=")
		lines = append(lines, strings.TrimSpace(rest))
	}
	want := []string{
		`INFO msg=step epoch=1/2 step=3/20 lr=0.1 loss=1.5000 images_per_s=16`,
		`INFO msg=step epoch=1/2 step=6/20 lr=0.1 loss=1.5000 images_per_s=16`,
		`INFO msg=step epoch=1/2 step=9/20 lr=0.1 loss=1.5000 images_per_s=16`,
		`INFO msg=epoch epoch=1/2 lr=0.1 loss=1.2500 val_accuracy=0.5000 val_cross_entropy=1.7500 images_per_s=16`,
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestLinesBytes requires one line for the end of each file, for any number of pieces.
func TestLinesBytes(t *testing.T) {
	var out bytes.Buffer
	d := New(&out)
	for _, file := range []string{"a.gz", "b.gz"} {
		for done := range int64(4) {
			d.Bytes(file, done, 3)
		}
		d.Bytes(file, 3, 3)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || !strings.Contains(out.String(), "file=b.gz bytes=3 of=3") {
		t.Errorf("got %d lines: %s", n, out.String())
	}
}

// TestBar requires the epoch, loss and speed in the bar, and that it is cleared before the line of
// an epoch and at the end.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	d := &Display{view: &bar{w: &out}, now: c.now}
	for i := range 10 {
		c.Time = c.Add(time.Second)
		d.Step(step(i))
	}
	for _, want := range []string{"epoch 1/2", "loss 1.5000", "64 images/s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the bar %q does not contain %q", out.String(), want)
		}
	}
	d.Epoch(epoch)
	last := func() string {
		parts := strings.Split(out.String(), "\r")
		return parts[len(parts)-1]
	}
	if want := "epoch 1/2  lr 0.1  loss 1.2500  val_accuracy 0.5000  val_cross_entropy 1.7500  images_per_s 64\n"; last() != want {
		t.Errorf("the epoch's line is %q, want %q", last(), want)
	}
	d.Step(step(10))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if last() != "" {
		t.Errorf("the bar left %q", last())
	}
}

// TestBarBytes requires one bar for each file.
func TestBarBytes(t *testing.T) {
	var out bytes.Buffer
	d := &Display{view: newBar(&out), now: time.Now}
	d.Bytes("a.gz", 1, 4)
	d.Bytes("b.gz", 2, 4)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a.gz", "b.gz"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q does not contain %q", out.String(), want)
		}
	}
}

// TestBrokenWriter requires that errors of the writer do not stop a training.
func TestBrokenWriter(t *testing.T) {
	for name, v := range map[string]view{"bar": newBar(broken{}), "lines": newLines(broken{}, time.Now)} {
		d := &Display{view: v, now: time.Now}
		if err := errors.Join(d.Step(step(0)), d.Epoch(epoch)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
