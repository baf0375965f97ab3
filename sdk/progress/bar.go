package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/compressaware/cram/sdk"
)

// A bar shows a training as one bar for all steps, with one line for each finished epoch, and a
// download as one bar for each file.
type bar struct {
	w     io.Writer
	pause time.Duration // minimum time between two updates of the terminal
	file  string        // the file of the bar, "" for a training
	bar   *progressbar.ProgressBar
}

func newBar(w io.Writer) *bar { return &bar{w: w, pause: 100 * time.Millisecond} }

// begin makes a bar that counts to total, if there is none for this file.
func (b *bar) begin(file string, total int64, options ...progressbar.Option) {
	if b.bar != nil && b.file == file {
		return
	}
	b.close()
	b.file = file
	b.bar = progressbar.NewOptions64(total, append(options,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(b.pause),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(true),
	)...)
}

func (b *bar) step(s sdk.Step, imagesPerSecond float64) {
	b.begin("", int64(s.Steps))
	b.bar.Describe(fmt.Sprintf("epoch %d/%d  loss %.4f  %.0f images/s", s.Epoch+1, s.Epochs, s.Loss, imagesPerSecond))
	b.bar.Set(s.Step + 1)
}

func (b *bar) epoch(line []field) {
	if b.bar != nil {
		b.bar.Clear()
	}
	fmt.Fprintln(b.w, join(line))
}

func (b *bar) bytes(file string, done, total int64) {
	b.begin(file, total, progressbar.OptionShowBytes(true), progressbar.OptionSetDescription(file))
	b.bar.Set64(done)
}

func (b *bar) close() error {
	if b.bar == nil {
		return nil
	}
	defer func() { b.bar = nil }()
	return b.bar.Clear()
}
