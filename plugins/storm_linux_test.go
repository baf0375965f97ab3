package plugins_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

// TestStorm kills plugins at random instants of a training, which goes on from its checkpoint with another one each time. Every kill is an
// error within a second, unless it falls between two calls of a compressor, which is then started anew. At the end the network
// is bit for bit that of a training without plugins, and nothing is left of any plugin. CRAM_LONG=1 kills 200 times each.
func TestStorm(t *testing.T) {
	kills := 6
	if os.Getenv("CRAM_LONG") != "" {
		kills = 200
	}
	t.Run("backend", func(t *testing.T) {
		storm(t, kills, func(ctx context.Context, trainer *sdk.Trainer) (func() error, error) {
			b, err := plugins.LaunchBackend(ctx, command("cpu"))
			if err != nil {
				return nil, err
			}
			trainer.Backend = b
			return b.Close, nil
		})
	})
	t.Run("compressor", func(t *testing.T) {
		storm(t, kills, func(ctx context.Context, trainer *sdk.Trainer) (func() error, error) {
			c, err := plugins.LaunchCompressor(ctx, command("topk"))
			if err != nil {
				return nil, err
			}
			trainer.Method = optim.CrAMPlus(0.05, c)
			return c.Close, nil
		})
	})
}

func storm(t *testing.T, kills int, launch func(context.Context, *sdk.Trainer) (func() error, error)) {
	set, err := data.Shapes(640, 1)
	if err != nil {
		t.Fatal(err)
	}
	local := func(context.Context, *sdk.Trainer) (func() error, error) { return func() error { return nil }, nil }
	train := func(ctx context.Context, folder string, launch func(context.Context, *sdk.Trainer) (func() error, error)) (content []byte, err error) {
		trainer := sdk.Trainer{
			Model: models.SmallCNN(10), Epochs: 2, Batch: 32, Seed: 5, Method: optim.CrAMPlus(0.05, host{compress.TopK(0.9)}),
			Checkpoint: sdk.CheckpointOptions{Path: filepath.Join(folder, "part"), Every: 1},
		}
		end, err := launch(ctx, &trainer)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, end()) }()
		net, err := trainer.Fit(ctx, set, nil)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(folder, "net")
		if err := net.Save(path); err != nil {
			return nil, err
		}
		if err := os.Remove(trainer.Checkpoint.Path); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	}
	t.Setenv("TMPDIR", t.TempDir())
	begin := time.Now()
	want, err := train(t.Context(), t.TempDir(), local)
	if err != nil {
		t.Fatal(err)
	}
	whole := time.Since(begin)
	if got, err := train(t.Context(), t.TempDir(), launch); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("undisturbed, the training comes out different from one without plugins (%v)", err)
	}

	r := rand.New(rand.NewPCG(1, 1))
	before := census(t)
	killed, failed, slowest := 0, 0, time.Duration(0)
	for folder := t.TempDir(); killed < kills; {
		var shot time.Time
		shooter := make(chan struct{})
		delay := time.Duration(r.Int64N(int64(whole)))
		timer := time.AfterFunc(delay, func() {
			defer close(shooter)
			for _, pid := range children(t) {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					shot = time.Now()
					return
				}
			}
		})
		got, err := train(t.Context(), folder, launch)
		ended := time.Now()
		if !timer.Stop() {
			<-shooter
		}
		if !shot.IsZero() {
			killed++
		}
		switch {
		case err == nil:
			if !bytes.Equal(got, want) {
				t.Fatalf("after %d kills the training came out different", killed)
			}
		case shot.IsZero():
			t.Fatalf("nobody was killed: %v", err)
		default:
			failed++
			slowest = max(slowest, ended.Sub(shot))
			if died := (*plugins.DiedError)(nil); !errors.As(err, &died) && !errors.Is(err, backends.ErrLost) && !strings.Contains(err.Error(), "died") {
				t.Errorf("after a kill: %v", err)
			}
		}
	}
	t.Logf("%d killed, %d of them errors, the slowest %v after the kill with the checkpoint of the training", killed, failed, slowest)
	if failed == 0 {
		t.Error("no kill was an error: the test proves nothing")
	}
	if slowest > time.Second && os.Getenv("CRAM_LONG") != "" {
		t.Errorf("an error took %v", slowest)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		after := census(t)
		if after == before {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind: %+v, before %+v", after, before)
			break
		}
	}
}

// counts is what a plugin may not leave behind.
type counts struct{ goroutines, descriptors, children, files int }

func census(t *testing.T) counts {
	t.Helper()
	runtime.GC()
	c := counts{goroutines: runtime.NumGoroutine(), children: len(children(t))}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	c.descriptors = len(fds)
	err = filepath.WalkDir(os.Getenv("TMPDIR"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, "plugin") {
			c.files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// children returns the processes whose parent this one is.
func children(t *testing.T) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Error(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" && f[1] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}
