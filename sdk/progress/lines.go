package progress

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/compressaware/cram/sdk"
)

// pause is the minimum time between two lines within an epoch or a file.
const pause = 10 * time.Second

// lines writes one log line for each epoch or file, and one every ten seconds between them.
type lines struct {
	log  *slog.Logger
	now  func() time.Time
	last time.Time
	file string // the file of the last call
	done bool   // the line for its end was written
}

func newLines(w io.Writer, now func() time.Time) *lines {
	return &lines{log: slog.New(slog.NewTextHandler(w, nil)), now: now, last: now()}
}

// due reports whether another line is due.
func (l *lines) due() bool {
	if now := l.now(); now.Sub(l.last) >= pause {
		l.last = now
		return true
	}
	return false
}

func (l *lines) step(s sdk.Step, imagesPerSecond float64) {
	if l.due() {
		l.log.Info("step", "epoch", fmt.Sprintf("%d/%d", s.Epoch+1, s.Epochs), "step", fmt.Sprintf("%d/%d", s.Step+1, s.Steps),
			"lr", fmt.Sprintf("%.4g", s.LR), "loss", fmt.Sprintf("%.4f", s.Loss), "images_per_s", fmt.Sprintf("%.0f", imagesPerSecond))
	}
}

func (l *lines) epoch(line []field) {
	var attrs []any
	for _, f := range line {
		attrs = append(attrs, f.name, f.value)
	}
	l.log.Info("epoch", attrs...)
	l.last = l.now()
}

func (l *lines) bytes(file string, done, total int64) {
	if file != l.file {
		l.file, l.done = file, false
	}
	if end := done >= total && !l.done; end || l.due() {
		l.done = l.done || end
		l.log.Info("fetch", "file", file, "bytes", done, "of", total)
	}
}

func (l *lines) close() error { return nil }
