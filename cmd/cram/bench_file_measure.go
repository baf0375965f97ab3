package main

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk"
)

// benchFiles holds one level, the paths of its files, and the peer.
type benchFiles struct {
	ctx    context.Context
	level  *sdk.Network
	peer   *filePeer
	ours   string
	dense  string // safetensors written by cram, read by the peer
	copied string // safetensors written by the peer
}

func newBenchFiles(ctx context.Context, level *sdk.Network, peer *filePeer, dir string) benchFiles {
	in := func(name string) string { return filepath.Join(dir, name) }
	return benchFiles{ctx, level, peer, in("ours.cram"), in("dense.safetensors"), in("copied.safetensors")}
}

// measure sets the sizes and times of r.
func (b benchFiles) measure(r *benchFileResult, rounds int) error {
	if err := b.sizes(r); err != nil {
		return err
	}
	steps := []struct {
		median *float64
		take   func() (seconds float64, err error)
		times  []float64
	}{
		{&r.Save, b.save, nil}, {&r.PeerLoad, b.peerLoad, nil}, {&r.Load, b.load, nil}, {&r.PeerSave, b.peerSave, nil},
		{&r.Read, b.read, nil}, {&r.Repack, b.repack, nil}, {&r.Serve, b.serve, nil},
	}
	for range rounds {
		for i := range steps {
			t, err := steps[i].take()
			if err != nil {
				return err
			}
			steps[i].times = append(steps[i].times, t)
		}
		slices.Reverse(steps) // later steps find memory allocated
	}
	for _, s := range steps {
		*s.median = median(s.times)
	}
	return nil
}

// sizes writes the files and sets their sizes in r.
func (b benchFiles) sizes(r *benchFileResult) error {
	if err := b.level.Save(b.ours); err != nil {
		return err
	}
	level, err := loadLevel(b.ours)
	if err != nil {
		return err
	}
	err = replace(b.dense, func(w io.Writer) error { return safetensors.Write(w, level.Tensors, nil) })
	if err != nil {
		return err
	}
	for path, size := range map[string]*int64{b.ours: &r.Bytes, b.dense: &r.Dense} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		*size = info.Size()
	}
	r.Gzip, err = gzipped(b.dense)
	return err
}

// timed returns the time that f takes, after a garbage collection.
func timed(f func() error) (seconds float64, err error) {
	runtime.GC()
	begin := time.Now()
	err = f()
	return time.Since(begin).Seconds(), err
}

func (b benchFiles) save() (float64, error) {
	if err := unlink(b.ours); err != nil {
		return 0, err
	}
	return timed(func() error { return b.level.Save(b.ours) })
}

func (b benchFiles) load() (float64, error) {
	return timed(func() error {
		_, err := loadLevel(b.ours)
		return err
	})
}

func (b benchFiles) read() (float64, error) {
	return timed(func() error {
		_, err := os.ReadFile(b.ours)
		return err
	})
}

func (b benchFiles) repack() (float64, error) {
	return b.ready(func() (*sdk.Predictor, error) { return b.level.Predictor(b.ctx, sdk.PredictorOptions{}) })
}

func (b benchFiles) serve() (float64, error) {
	return b.ready(func() (*sdk.Predictor, error) { return sdk.LoadSparse(b.ctx, b.ours, sdk.PredictorOptions{}) })
}

// ready returns the time to make a Predictor.
func (b benchFiles) ready(make func() (*sdk.Predictor, error)) (float64, error) {
	var p *sdk.Predictor
	seconds, err := timed(func() (err error) {
		p, err = make()
		return err
	})
	if err != nil {
		return 0, err
	}
	return seconds, p.Close()
}

func (b benchFiles) peerLoad() (float64, error) { return b.peer.ask("load", b.dense) }

func (b benchFiles) peerSave() (float64, error) {
	if err := unlink(b.copied); err != nil {
		return 0, err
	}
	return b.peer.ask("save", b.copied)
}

// loadLevel reads the only level of a file.
func loadLevel(path string) (*checkpoint.Level, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	l, err := c.Level("")
	return l, errors.Join(err, c.Close())
}

// unlink removes a file if it exists, and flushes its directory, so that the next save does not
// include the time of the removal.
func unlink(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	dir.Sync() // Windows returns an error
	return dir.Close()
}

// gzipped returns the size of a file after gzip.
func gzipped(path string) (int64, error) {
	in, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	var n counter
	z := gzip.NewWriter(&n)
	if _, err := io.Copy(z, in); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil { // writes the end
		return 0, err
	}
	return int64(n), nil
}

// A counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
