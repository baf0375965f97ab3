package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/compressaware/cram/sdk"
)

// A watcher loads the network of a file whenever the file has changed, and makes it the one that
// answers.
type watcher struct {
	file    string
	options sdk.PredictorOptions
	live    *sdk.Live
	log     *slog.Logger

	serving os.FileInfo // the file that was loaded last; nil before the first
	failure string      // the error of the last attempt, "" after a success
}

// watch checks the file at once and then at each interval, until ctx ends.
func (w *watcher) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look loads the file unless it is the one that was loaded last. It reads the file's identity
// before it opens the file, so a file that is replaced between the two is loaded again, and none is
// missed. A failure is tried again at the next call, because its cause may have ended. It is logged
// once.
func (w *watcher) look(ctx context.Context) {
	info, err := os.Stat(w.file)
	if err == nil && same(info, w.serving) {
		w.failure = ""
		return
	}
	var p *sdk.Predictor
	if err == nil {
		p, err = sdk.LoadSparse(ctx, w.file, w.options)
	}
	if err != nil {
		w.failed(ctx, err)
		return
	}
	level, model := p.Level(), p.Info().Model
	if err := w.live.Swap(p); err != nil && !errors.Is(err, sdk.ErrRetired) {
		w.failed(ctx, errors.Join(err, p.Close()))
		return
	} else if err != nil {
		w.log.WarnContext(ctx, "old network", "error", err)
	}
	w.serving, w.failure = info, ""
	w.log.InfoContext(ctx, "serving", "file", w.file, "level", level, "model", model, "bytes", info.Size(), "written", info.ModTime())
}

func (w *watcher) failed(ctx context.Context, err error) {
	if err.Error() == w.failure {
		return
	}
	w.failure = err.Error()
	w.log.ErrorContext(ctx, "file not loaded", "file", w.file, "error", err, "still_serving", w.serving != nil)
}

// same reports whether two looks at a path found the same file, unchanged.
func same(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
