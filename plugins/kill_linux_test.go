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

// TestKills kills plugins at random times of a training, which each time resumes from its
// checkpoint with another plugin. Each kill is an error within a second, unless it is between two
// calls of a compressor, which is then restarted. At the end the network has the same bits as that
// of a training without plugins, and no process, file or goroutine of a plugin is left. CRAM_LONG=1
// kills 200 times each.
func TestKills(t *testing.T) {
	kills := 6
	if os.Getenv("CRAM_LONG") != "" {
		kills = 200
	}
	t.Run("backend", func(t *testing.T) {
		trainWithKills(t, kills, func(ctx context.Context, trainer *sdk.Trainer) (func() error, error) {
			b, err := plugins.LaunchBackend(ctx, command("cpu"))
			if err != nil {
				return nil, err
			}
			trainer.Backend = b
			return b.Close, nil
		})
	})
	t.Run("compressor", func(t *testing.T) {
		trainWithKills(t, kills, func(ctx context.Context, trainer *sdk.Trainer) (func() error, error) {
			c, err := plugins.LaunchCompressor(ctx, command("topk"))
			if err != nil {
				return nil, err
			}
			trainer.Method = optim.CrAMPlus(0.05, c)
			return c.Close, nil
		})
	})
}

func trainWithKills(t *testing.T, kills int, launch func(context.Context, *sdk.Trainer) (func() error, error)) {
	set, err := data.Shapes(640, 1)
	if err != nil {
		t.Fatal(err)
	}
	local := func(context.Context, *sdk.Trainer) (func() error, error) { return func() error { return nil }, nil }
	train := func(ctx context.Context, dir string, launch func(context.Context, *sdk.Trainer) (func() error, error)) (content []byte, err error) {
		trainer := sdk.Trainer{
			Model: models.SmallCNN(10), Epochs: 2, Batch: 32, Seed: 5, Method: optim.CrAMPlus(0.05, host{compress.TopK(0.9)}),
			Checkpoint: sdk.CheckpointOptions{Path: filepath.Join(dir, "part"), Every: 1},
		}
		stop, err := launch(ctx, &trainer)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		net, err := trainer.Fit(ctx, set, nil)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(dir, "net")
		if err := net.Save(path); err != nil {
			return nil, err
		}
		if err := os.Remove(trainer.Checkpoint.Path); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	}
	t.Setenv("TMPDIR", t.TempDir())
	start := time.Now()
	want, err := train(t.Context(), t.TempDir(), local)
	if err != nil {
		t.Fatal(err)
	}
	whole := time.Since(start)
	if got, err := train(t.Context(), t.TempDir(), launch); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("without kills the network differs from that of a training without plugins (%v)", err)
	}

	r := rand.New(rand.NewPCG(1, 1))
	before := count(t)
	killed, failed, slowest := 0, 0, time.Duration(0)
	// A kill between two calls of a compressor is no error: there are more until one meets a call.
	for dir := t.TempDir(); killed < kills || failed == 0 && killed < 20*kills; {
		var killTime time.Time
		killDone := make(chan struct{})
		delay := time.Duration(r.Int64N(int64(whole)))
		timer := time.AfterFunc(delay, func() {
			defer close(killDone)
			for _, pid := range children(t) {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					killTime = time.Now()
					return
				}
			}
		})
		got, err := train(t.Context(), dir, launch)
		ended := time.Now()
		if !timer.Stop() {
			<-killDone
		}
		if !killTime.IsZero() {
			killed++
		}
		switch {
		case err == nil:
			if !bytes.Equal(got, want) {
				t.Fatalf("after %d kills the network differs", killed)
			}
		case killTime.IsZero():
			t.Fatalf("an error without a kill: %v", err)
		default:
			failed++
			slowest = max(slowest, ended.Sub(killTime))
			if died := (*plugins.DiedError)(nil); !errors.As(err, &died) && !errors.Is(err, backends.ErrLost) && !strings.Contains(err.Error(), "died") {
				t.Errorf("after a kill: %v", err)
			}
		}
	}
	t.Logf("%d kills, %d of them errors, the slowest %v after the kill, including the checkpoint of the training", killed, failed, slowest)
	if failed == 0 {
		t.Error("no kill was an error")
	}
	if slowest > time.Second && os.Getenv("CRAM_LONG") != "" {
		t.Errorf("an error took %v", slowest)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		after := count(t)
		if after == before {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("left: %+v, before: %+v", after, before)
			break
		}
	}
}

// counts are the numbers of things that a plugin can leave behind.
type counts struct{ goroutines, descriptors, children, files int }

func count(t *testing.T) counts {
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

// children returns the running child processes.
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
