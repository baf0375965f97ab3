package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
)

var errStop = errors.New("stopped by the test")

// resumable returns trainings with different kinds of state: momentum, two moments, masks that are
// reused, steps of several programs, frozen parameters, a loss of
// a point.
func resumable() map[string]sdk.Trainer {
	sgd, adam, infrequent, host := tinyTrainer(), tinyTrainer(), tinyTrainer(), tinyTrainer()
	sgd.Method = optim.Plain()
	adam.Method, adam.Optimizer, adam.Schedule = optim.Plain(), optim.Adam{}, optim.Constant(1e-3)
	infrequent.Method.Points[1].Refresh = 3
	host.Method = optim.CrAMPlus(.1, compress.Func("half", compress.TopK(.5).Compress), compress.NM{N: 2, M: 4})
	host.Method.Points[1].Refresh = 2
	frozen := tinyTrainer()
	frozen.Freeze = func(name string) bool { return name == "conv1.weight" }
	loss := host
	loss.Method.Points = slices.Clone(host.Method.Points)
	loss.Method.Points[1].Loss = distill
	return map[string]sdk.Trainer{"loss of a point": loss, "sgd": sgd, "adam": adam, "cram+ multi, infrequent masks": infrequent, "host compressor": host, "frozen": frozen}
}

// result has the two files of a training: the network and the checkpoint, with momentum.
type result struct{ net, checkpoint []byte }

func (r result) equal(s result) bool {
	return bytes.Equal(r.net, s.net) && bytes.Equal(r.checkpoint, s.checkpoint)
}

func resultOf(t testing.TB, tr sdk.Trainer, net *sdk.Network) result {
	t.Helper()
	b, err := os.ReadFile(tr.Checkpoint.Path)
	if err != nil {
		t.Fatal(err)
	}
	return result{saved(t, net), b}
}

// uninterrupted returns the result of a training without interruption.
func uninterrupted(t testing.TB, tr sdk.Trainer, train, validation data.Set) result {
	t.Helper()
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "whole.cram")
	return resultOf(t, tr, fit(t, tr, train, validation))
}

// TestResume holds that a training that is interrupted after every step, or every fourth, has the
// same files as an uninterrupted one, byte for byte.
func TestResume(t *testing.T) {
	leaksNothing(t)
	train, validation := shapes(t, 40, 0), shapes(t, 10, 1)
	strides := []int{1, 4}
	if testing.Short() {
		strides = []int{4}
	}
	for name, tr := range resumable() {
		t.Run(name, func(t *testing.T) {
			tr.Backend = onCPU(t, 2)
			want := uninterrupted(t, tr, train, validation)
			for _, every := range strides {
				for how, stop := range map[string]func(cancel func()) error{
					"callback": func(func()) error { return errStop },
					"context":  func(cancel func()) error { cancel(); return nil },
				} {
					tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
					if got := inPieces(t, tr, train, validation, every, stop); !got.equal(want) {
						t.Errorf("interrupted by a %s after every %d steps: another result", how, every)
					}
				}
			}
		})
	}
}

// inPieces interrupts a training after every so many steps and resumes it until it is finished.
func inPieces(t *testing.T, tr sdk.Trainer, train, validation data.Set, every int, stop func(cancel func()) error) result {
	t.Helper()
	last := -1
	for range 9/every + 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := 0
		tr.OnStep = func(s sdk.Step) error {
			if s.Step != last+1 {
				t.Errorf("step %d follows step %d", s.Step, last)
			}
			last = s.Step
			if done++; done == every {
				return stop(cancel)
			}
			return nil
		}
		net, err := tr.Fit(ctx, train, validation)
		cancel()
		if err == nil {
			return resultOf(t, tr, net)
		}
		if !errors.Is(err, errStop) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	t.Fatalf("the training is not finished after step %d", last)
	return result{}
}

// TestResumeFromAnyCheckpoint holds that a training has the same result from each of its
// checkpoints, as after a kill.
func TestResumeFromAnyCheckpoint(t *testing.T) {
	train := shapes(t, 40, 0)
	for name, tr := range resumable() {
		t.Run(name, func(t *testing.T) {
			tr.Backend = onCPU(t, 1)
			tr.Checkpoint = sdk.CheckpointOptions{Path: filepath.Join(t.TempDir(), "part.cram"), Every: 1}
			var snapshots [][]byte
			snapshot := func() error {
				b, err := os.ReadFile(tr.Checkpoint.Path)
				if err == nil && (len(snapshots) == 0 || !bytes.Equal(b, snapshots[len(snapshots)-1])) {
					snapshots = append(snapshots, b)
				}
				return nil
			}
			watched := tr
			watched.OnStep = func(sdk.Step) error { return snapshot() }
			watched.OnEpoch = func(sdk.Epoch) error { return snapshot() }
			want := resultOf(t, tr, fit(t, watched, train, nil))
			if len(snapshots) != 9 {
				t.Fatalf("%d checkpoints in 9 steps", len(snapshots))
			}
			for i, b := range snapshots {
				if testing.Short() && i%4 != 1 {
					continue
				}
				if err := os.WriteFile(tr.Checkpoint.Path, b, 0o666); err != nil {
					t.Fatal(err)
				}
				if got := resultOf(t, tr, fit(t, tr, train, nil)); !got.equal(want) {
					t.Errorf("resumed from checkpoint %d: another result", i)
				}
			}
		})
	}
}

// TestInterruptedInsideAStep holds that the end of the context during a call of a compressor, and
// an error of the compressor, undo that step only.
func TestInterruptedInsideAStep(t *testing.T) {
	train := shapes(t, 40, 0)
	calls, interrupt := 0, func() error { return nil } // at the fifth call
	tr := tinyTrainer()
	tr.Method = optim.CrAMPlus(.1, compress.Func("half", func(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		if calls++; calls == 5 {
			if err := interrupt(); err != nil {
				return nil, err
			}
		}
		return compress.TopK(.5).Compress(ctx, w)
	}))
	want := uninterrupted(t, tr, train, nil)
	for name, f := range map[string]func(cancel func()) error{
		"context": func(cancel func()) error { cancel(); return nil },
		"error":   func(func()) error { return errStop },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls, interrupt = 0, func() error { return f(cancel) }
			tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
			if _, err := tr.Fit(ctx, train, nil); !errors.Is(err, errStop) && !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
			steps := 0
			tr := tr
			tr.OnStep = func(s sdk.Step) error { steps++; return nil }
			if got := resultOf(t, tr, fit(t, tr, train, nil)); !got.equal(want) {
				t.Error("another result")
			}
			if steps != 9-4 {
				t.Errorf("%d steps after the resume, want 5 after 4 of 9", steps)
			}
		})
	}
}

// TestFinishedTraining holds that Fit of a finished training returns its network without a step.
func TestFinishedTraining(t *testing.T) {
	train := shapes(t, 40, 0)
	tr := tinyTrainer()
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
	want := saved(t, fit(t, tr, train, nil))
	tr.OnStep = func(s sdk.Step) error { t.Errorf("step %d again", s.Step); return nil }
	if !bytes.Equal(saved(t, fit(t, tr, train, nil)), want) {
		t.Error("another network")
	}
}

// TestLog holds that a training logs each epoch once, and its resume.
func TestLog(t *testing.T) {
	train := shapes(t, 40, 0)
	var out bytes.Buffer
	tr := tinyTrainer()
	tr.Checkpoint.Path = filepath.Join(t.TempDir(), "part.cram")
	tr.Log = slog.New(slog.NewTextHandler(&out, nil))
	tr.OnEpoch = func(e sdk.Epoch) error { return errStop }
	if _, err := tr.Fit(t.Context(), train, train); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.OnEpoch = nil
	fit(t, tr, train, train)
	var logged []string
	for line := range strings.Lines(out.String()) {
		_, message, _ := strings.Cut(strings.TrimSpace(line), "msg=")
		logged = append(logged, message)
	}
	want := []string{"epoch epoch=1 epochs=3 lr=", "resumed path=" + tr.Checkpoint.Path + " epoch=2 epochs=3 step=3", "epoch epoch=2", "epoch epoch=3"}
	if !slices.EqualFunc(logged, want, strings.HasPrefix) || !strings.Contains(logged[0], "val_accuracy=") {
		t.Errorf("logged %q, want lines that begin with %q", logged, want)
	}
}

// TestResumeRefuses holds that a checkpoint of another training, and a damaged one, is an error and
// remains unchanged.
func TestResumeRefuses(t *testing.T) {
	train := shapes(t, 40, 0)
	path := filepath.Join(t.TempDir(), "part.cram")
	tr := tinyTrainer()
	tr.Checkpoint.Path = path
	tr.OnStep = func(s sdk.Step) error {
		if s.Step == 3 {
			return errStop
		}
		return nil
	}
	if _, err := tr.Fit(t.Context(), train, nil); !errors.Is(err, errStop) {
		t.Fatal(err)
	}
	tr.OnStep = nil
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := uninterrupted(t, tr, train, nil)
	other := tr
	other.Checkpoint.Path, other.Epochs = "", 1
	start := fit(t, other, train, nil)
	type change = func(*sdk.Trainer)
	for name, c := range map[string]struct {
		change change
		texts  []string
	}{
		"seed":         {func(tr *sdk.Trainer) { tr.Seed = 8 }, []string{"another training", "want seed 8", "got 7"}},
		"rho":          {func(tr *sdk.Trainer) { tr.Method = optim.CrAMPlus(.2, compress.TopK(.5), compress.TopK(.9)) }, []string{"θ+0.1·g", "θ+0.2·g"}},
		"compressors":  {func(tr *sdk.Trainer) { tr.Method = optim.CrAMPlus(.1, compress.TopK(.5)) }, []string{"{topk:0.5, topk:0.9}", "{topk:0.5}"}},
		"optimizer":    {func(tr *sdk.Trainer) { tr.Optimizer = optim.Adam{} }, []string{"sgd(momentum=0.9", "adam("}},
		"schedule":     {func(tr *sdk.Trainer) { tr.Schedule = optim.Constant(.05) }, []string{"cosine(peak=0.05", "constant(0.05)"}},
		"epochs":       {func(tr *sdk.Trainer) { tr.Epochs = 4 }, []string{"3 epochs of 3", "4 epochs of 3"}},
		"batch":        {func(tr *sdk.Trainer) { tr.Batch = 17 }, []string{"batches of 16", "batches of 17"}},
		"augmentation": {func(tr *sdk.Trainer) { tr.Augment = tr.Augment[:1] }, []string{"data.RandomHorizontalFlip"}},
		"normalization": {func(tr *sdk.Trainer) {
			tr.Normalize = data.Normalize{Mean: []float32{1, 1, 1}, Std: []float32{1, 1, 1}}
		}, []string{"another training"}},
		"frozen": {func(tr *sdk.Trainer) { tr.Freeze = func(n string) bool { return n == "bn1.bias" } }, []string{"frozen bn1.bias"}},
		"loss": {func(tr *sdk.Trainer) {
			tr.Loss = nn.LossFunc("doubled", func(p *nn.Pass, o, t graph.Node) graph.Node { return p.Scale(nn.CrossEntropy{}.Loss(p, o, t), 2) })
		}, []string{"loss cross_entropy", "loss doubled"}},
		"start": {func(tr *sdk.Trainer) { tr.Init = start }, []string{"initial weights "}},
		"dropout": {func(tr *sdk.Trainer) {
			tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node { return nn.Dropout{P: .5}.Forward(p, tiny(p, x)) })
		}, []string{"another model", `program "train"`}},
		"model's name": {func(tr *sdk.Trainer) { tr.Info.Model = "tinier" }, []string{`got "tiny"`, `want model "tinier"`}},
		"data's name":  {func(tr *sdk.Trainer) { tr.Info.Data = "forms" }, []string{`got "shapes"`, `want data "forms"`}},
		"model, of one name and other shapes": {func(tr *sdk.Trainer) { tr.Model = models.CNN{Widths: []int{8, 8}, Classes: 10} },
			[]string{"another model", "stride=[2 2]", "stride=[1 1]"}},
		"model, of one name and equal shapes": {func(tr *sdk.Trainer) {
			tr.Model = nn.Func(func(p *nn.Pass, x graph.Node) graph.Node { return nn.ReLU(p, tiny(p, x)) })
		}, []string{"another model", "relu"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := tr
			tr.Augment = slices.Clone(tr.Augment)
			c.change(&tr)
			_, err := tr.Fit(t.Context(), train, nil)
			wantError(t, err, append(c.texts, path)...)
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, good) {
				t.Error("the checkpoint has changed")
			}
		})
	}
	refused := func(name string, content []byte, texts ...string) {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := tr.Fit(t.Context(), train, nil)
			wantError(t, err, texts...)
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, content) {
				t.Error("the checkpoint has changed")
			}
		})
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-5] ^= 1
	refused("damaged content", flipped, "checksum")
	flipped = bytes.Clone(good)
	flipped[100] ^= 1
	refused("damaged table of contents", flipped, "checksum")
	refused("half a file", good[:len(good)/2], "damaged", "resume", path)
	refused("all but a byte", good[:len(good)-1], "damaged")
	refused("no checkpoint", []byte("not a checkpoint\n"), "not a checkpoint")
	refused("an empty file", nil, "damaged")
	refused("a finished network", whole.net, "a finished network")
	for _, c := range []struct {
		what  string
		value int64
	}{{"epoch", 1 << 40}, {"epoch", -1}, {"batch", 4}, {"step", 1 << 40}, {"examples", 1}} {
		f := fileOf(t, good)
		f.State.Ints[c.what] = c.value
		refused("a wrong "+c.what, bytesOf(t, f), "want a position within 3 epochs of 3 batches")
	}
	f := fileOf(t, good)
	f.State.Tensors["loss"] = f.Levels[0].Tensors["fc.bias"]
	refused("a wrong loss", bytesOf(t, f), "want one f64, got f32[10]")
	f = fileOf(t, good)
	delete(f.Levels[0].Tensors, "fc.bias")
	refused("a missing tensor", bytesOf(t, f), "fc.bias is missing")
	f = fileOf(t, good)
	f.State.Tensors["sgd.momentum/fc.weight"] = f.Levels[0].Tensors["fc.bias"]
	refused("a wrong moment", bytesOf(t, f), "sgd.momentum/fc.weight")
	if err := os.WriteFile(path, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if !resultOf(t, tr, fit(t, tr, train, nil)).equal(whole) {
		t.Error("an error of a resume has changed the training")
	}
}

func fileOf(t testing.TB, b []byte) *checkpoint.File {
	t.Helper()
	r, err := checkpoint.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func bytesOf(t testing.TB, f *checkpoint.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := checkpoint.Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
