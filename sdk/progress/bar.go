package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/compressaware/cram/sdk"
)

// bar shows a training as one bar over all its steps, with a line left behind for each epoch, and a download as one bar a file.
type bar struct {
	w     io.Writer
	pause time.Duration // least time between two pictures of the bar
	what  string        // of which file, "" for a training
	bar   *progressbar.ProgressBar
}

func newBar(w io.Writer) *bar { return &bar{w: w, pause: 100 * time.Millisecond} }

// begin makes a bar that counts to total, unless the one there is for the same thing.
func (b *bar) begin(what string, total int64, options ...progressbar.Option) {
	if b.bar != nil && b.what == what {
		return
	}
	b.close()
	b.what = what
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
