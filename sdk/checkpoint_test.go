package sdk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/metric"
)

// filesIn returns the contents of the files in a directory by name.
func filesIn(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestRetention holds that the last checkpoints and the best one are kept, that the training
// resumes from each of them, and that an interrupted training keeps the same files.
func TestRetention(t *testing.T) {
	train, validation := shapes(t, 40, 0), shapes(t, 20, 1)
	for name, m := range map[string]metric.Metric{"accuracy": metric.Accuracy{}, "loss": metric.CrossEntropy{}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tr := tinyTrainer()
			tr.Backend = onCPU(t, 1)
			tr.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(dir, "part.cram"), Every: 2, KeepLast: 3, Best: m}
			var best []byte // the checkpoint of the first epoch with the best score
			highest := 0.0
			tr.OnEpoch = func(e sdk.Epoch) error {
				value := e.Validation.Values[m.String()]
				if !m.HigherIsBetter() {
					value = -value
				}
				if best == nil || value > highest {
					highest, best = value, filesIn(t, dir)["part.cram"]
				}
				return nil
			}
			net := saved(t, fit(t, tr, train, validation))
			want := filesIn(t, dir)
			var names []string
			for name := range want {
				names = append(names, name)
			}
			slices.Sort(names)
			// 3 epochs of 3 steps, a checkpoint after every second step and every epoch: 2, 3, 4,
			// 6, 8, 9.
			if w := []string{"part.cram", "part.cram.best", "part.cram.step6", "part.cram.step8", "part.cram.step9"}; !slices.Equal(names, w) {
				t.Fatalf("kept %v, want %v", names, w)
			}
			if !bytes.Equal(want["part.cram"], want["part.cram.step9"]) || !bytes.Equal(want["part.cram.best"], best) {
				t.Error("the newest or the best checkpoint has other bytes")
			}
			tr.OnEpoch = nil
			for _, name := range names { // resume from each in a new directory
				at := filepath.Join(t.TempDir(), "part.cram")
				if err := os.WriteFile(at, want[name], 0o666); err != nil {
					t.Fatal(err)
				}
				again := tr
				again.Checkpoint.Path = at
				if !bytes.Equal(saved(t, fit(t, again, train, validation)), net) {
					t.Errorf("resumed from %s: the network has other bytes", name)
				}
			}
			pieces := t.TempDir()
			tr.Checkpoint.Path = filepath.Join(pieces, "part.cram")
			inPieces(t, tr, train, validation, 1, func(func()) error { return errStop })
			got := filesIn(t, pieces)
			for name := range want {
				if !bytes.Equal(got[name], want[name]) {
					t.Errorf("%s of an interrupted training has other bytes", name)
				}
			}
			if len(got) != len(want) {
				t.Errorf("an interrupted training keeps %d files, want %d", len(got), len(want))
			}
		})
	}
}

// TestRetentionOfLaterSteps holds that checkpoints of later steps, and files with similar names,
// remain.
func TestRetentionOfLaterSteps(t *testing.T) {
	dir := t.TempDir()
	tr := tinyTrainer()
	tr.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(dir, "part.cram"), KeepLast: 1}
	for _, name := range []string{"part.cram.step10", "part.cram.step09", "part.cram.step1x", "part.cram.step2"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	fit(t, tr, shapes(t, 40, 0), nil)
	files := filesIn(t, dir)
	for name, want := range map[string]bool{"part.cram.step10": true, "part.cram.step09": true, "part.cram.step1x": true, "part.cram.step2": false, "part.cram.step6": false, "part.cram.step9": true} {
		if _, ok := files[name]; ok != want {
			t.Errorf("%s exists: %v, want %v", name, ok, want)
		}
	}
}

// TestBestByAnotherMetric holds that a training can resume with another metric for the best epoch,
// and that the values of the earlier metric then do not count.
func TestBestByAnotherMetric(t *testing.T) {
	train, validation := shapes(t, 40, 0), shapes(t, 10, 1)
	tr := tinyTrainer()
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "net.cram")
	tr.Checkpoint.Best, tr.Metrics = metric.Accuracy{}, []metric.Metric{metric.Accuracy{}}
	tr.OnEpoch = func(sdk.Epoch) error { return errStop }
	if _, err := tr.Fit(t.Context(), train, validation); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.Checkpoint.Best, tr.Metrics = metric.CrossEntropy{}, []metric.Metric{metric.CrossEntropy{}}
	var values []float64
	tr.OnEpoch = func(e sdk.Epoch) error { values = append(values, e.Validation.Values["cross_entropy"]); return nil }
	fit(t, tr, train, validation)
	best, err := sdk.LoadSparse(t.Context(), tr.Checkpoint.BestPath(), sdk.PredictorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer best.Close()
	score, err := best.Evaluate(t.Context(), validation, tr.Batch, metric.CrossEntropy{})
	if want := slices.Min(values); err != nil || math.Abs(score.Values["cross_entropy"]-want) > 1e-5 {
		t.Errorf("the best checkpoint has %v, %v, want %v of %v", score, err, want, values)
	}
}

// TestRetentionRefuses holds that wrong CheckpointOptions are errors.
func TestRetentionRefuses(t *testing.T) {
	for text, c := range map[string]sdk.CheckpointOptions{
		"KeepLast: want 0 or more, got -1": {Path: "x", KeepLast: -1},
		"want a Path":                      {KeepLast: 1},
		"Best: want a validation set":      {Path: "x", Best: metric.Accuracy{}},
	} {
		tr := tinyTrainer()
		tr.Checkpoint = c
		_, err := tr.Fit(t.Context(), shapes(t, 40, 0), nil)
		wantError(t, err, text)
	}
}

// TestResumeOnAnotherBackend holds that a resume on another backend is an error that leaves the
// checkpoint unchanged, unless it is allowed. Then Info lists both backends.
func TestResumeOnAnotherBackend(t *testing.T) {
	train := shapes(t, 40, 0)
	tr := tinyTrainer()
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
	tr.OnStep = func(s sdk.Step) error {
		if s.Step == 3 {
			return errStop
		}
		return nil
	}
	portable, err := cpu.New(cpu.Options{Threads: 1, InstructionSet: "portable"})
	if err != nil {
		t.Fatal(err)
	}
	defer portable.Close()
	tr.Backend = portable
	if _, err := tr.Fit(t.Context(), train, nil); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.OnStep = nil
	before, err := os.ReadFile(tr.Checkpoint.Path)
	if err != nil {
		t.Fatal(err)
	}
	tr.Backend = reference.New()
	_, err = tr.Fit(t.Context(), train, nil)
	wantError(t, err, "cpu portable", "reference go", "AllowOtherBackend", tr.Checkpoint.Path)
	if !errors.Is(err, sdk.ErrOtherBackend) {
		t.Errorf("got %v, want ErrOtherBackend", err)
	}
	if after, err := os.ReadFile(tr.Checkpoint.Path); err != nil || !bytes.Equal(before, after) {
		t.Error("the checkpoint has changed")
	}
	tr.Checkpoint.AllowOtherBackend = true
	tr.OnStep = func(s sdk.Step) error {
		if s.Step == 6 {
			return errStop
		}
		return nil
	}
	if _, err := tr.Fit(t.Context(), train, nil); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.OnStep, tr.Checkpoint.AllowOtherBackend = nil, false
	net, err := tr.Fit(t.Context(), train, nil) // on the last backend of the list
	if err != nil {
		t.Fatal(err)
	}
	if got, want := net.Info().Versions["backend"], fmt.Sprintf("cpu portable %[1]s, then reference go %[1]s", runtime.GOARCH); got != want {
		t.Errorf("the network was trained on %q, want %q", got, want)
	}
}
