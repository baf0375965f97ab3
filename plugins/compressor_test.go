package plugins_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/compress/compresstest"
	"github.com/compressaware/cram/sdk/graph"
)

// launchCompressor starts a plugin that is a compressor. The test ends it.
func launchCompressor(t testing.TB, c plugins.Command) *plugins.Compressor {
	t.Helper()
	p, err := plugins.LaunchCompressor(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// weights returns a kernel and a bias.
func weights(t testing.TB, rows, columns int) []compress.Weight {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	w := []compress.Weight{
		{Meta: compress.Meta{Name: "fc.weight", Role: graph.Kernel, Dims: []int{rows, columns}, First: true, Last: true}},
		{Meta: compress.Meta{Name: "fc.bias", Role: graph.Bias, Dims: []int{rows}}},
	}
	for i := range w {
		data, err := array.New(array.F32, w[i].Dims...)
		if err != nil {
			t.Fatal(err)
		}
		for j := range data.F32() {
			data.F32()[j] = float32(r.NormFloat64())
		}
		w[i].Data = data
	}
	return w
}

// TestContract runs the suite of compressors across the process boundary: with masks, with values,
// in shared memory, in streams, with mutual TLS and without.
func TestContract(t *testing.T) {
	for name, set := range map[string]func(*plugins.Command){
		"shared":   func(*plugins.Command) {},
		"streamed": func(c *plugins.Command) { c.Stream = true },
		"insecure": func(c *plugins.Command) { c.Insecure = true },
	} {
		for _, role := range []string{"topk", "halve"} {
			t.Run(name+" "+role, func(t *testing.T) {
				c := command(role)
				set(&c)
				compresstest.Run(t, launchCompressor(t, c), compresstest.Options{})
			})
		}
	}
}

// TestSameResults holds that a plugin returns the same bits as a local compressor.
func TestSameResults(t *testing.T) {
	w := weights(t, 37, 53)
	want, err := compress.TopK(0.9).Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	got, err := launchCompressor(t, command("topk")).Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[0].Mask.Data, want[0].Mask.Data) || !got[1].Mask.None() {
		t.Error("the results of the plugin differ")
	}
}

// TestInvalidResults holds that results which break the contract are errors that name plugin,
// tensor and cause, and that the plugin keeps running.
func TestInvalidResults(t *testing.T) {
	for _, c := range []struct{ role, tensor, cause string }{
		{"nan", "fc.weight", "element 3"},
		{"shape", "fc.weight", "mask: want bit[8 8], got bit[128]"},
		{"flat", "fc.weight", "mask: want bit[8 8], got bit[64]"},
		{"flat values", "fc.weight", "values: want f32[8 8], got f32[64]"},
		{"dtype", "fc.weight", "values: want f32[8 8], got f64[8 8]"},
		{"short", "fc.weight", "mask: "},
		{"undeclared", "fc.weight", "want no new values, got some: set Plugin.Values"},
		{"no pattern", "fc.weight", "want a mask with the declared pattern 2:4, got none: set Compressed.Pattern"},
		{"count", "", "want results for all 2 weights, got 5"},
		{"pattern", "fc.weight", "promises 2:4"},
		{"bias", "fc.bias", "only kernels and embeddings"},
		{"writes", "fc.weight", "read-only"},
		{"panics", "", "a bug of the plugin's"},
	} {
		ofPlugin := c.role == "writes" || c.role == "panics" // faults that the plugin reports itself
		for _, stream := range []bool{false, true} {
			t.Run(c.role, func(t *testing.T) {
				command := command(c.role)
				command.Stream = stream
				p := launchCompressor(t, command)
				for range 2 {
					w := weights(t, 8, 8)
					before := w[0].Data.Clone()
					_, err := p.Compress(t.Context(), w)
					if err == nil {
						t.Fatal("no error")
					}
					for _, want := range []string{command.Path, c.tensor, c.cause} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("got %v, want %q in it", err, want)
						}
					}
					if died := (*plugins.DiedError)(nil); errors.As(err, &died) {
						t.Errorf("the plugin died: %v", err)
					}
					if reply := (*plugins.ReplyError)(nil); errors.As(err, &reply) == ofPlugin || !ofPlugin && reply.Tensor != c.tensor {
						t.Errorf("a ReplyError: %v, want %v: %#v", ofPlugin, !ofPlugin, err)
					}
					if c.tensor != "" && strings.Count(err.Error(), c.tensor) != 1 {
						t.Errorf("got %v, want the tensor once", err)
					}
					if !bytes.Equal(before.Data, w[0].Data.Data) {
						t.Error("the weights changed")
					}
				}
			})
		}
	}
}

// TestDeath holds that the death of a plugin is an error with its output that does not wrap
// ErrLost, and that the next call restarts the plugin.
func TestDeath(t *testing.T) {
	p := launchCompressor(t, command("exits"))
	for range 2 {
		start := time.Now()
		_, err := p.Compress(t.Context(), weights(t, 8, 8))
		var died *plugins.DiedError
		if !errors.As(err, &died) || died.State != "exit status 3" || !strings.Contains(err.Error(), "last words | of two lines") || died.Killed != "" {
			t.Errorf("%#v after %v", err, time.Since(start))
		}
		if errors.Is(err, backends.ErrLost) {
			t.Error("the error of a compressor wraps ErrLost")
		}
	}
}

// TestCancel holds that a cancelled call ends, and that the plugin is killed when the call does not
// end.
func TestCancel(t *testing.T) {
	for role, killed := range map[string]bool{"sleeps": false, "hangs": true} {
		t.Run(role, func(t *testing.T) {
			c := command(role)
			c.StopTimeout = 500 * time.Millisecond
			p := launchCompressor(t, c)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := p.Compress(ctx, weights(t, 8, 8))
			var died *plugins.DiedError
			switch {
			case killed && (!errors.As(err, &died) || !strings.Contains(died.Killed, "StopTimeout")):
				t.Errorf("want it killed, got %v", err)
			case !killed && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("want the context's error, got %v", err)
			}
		})
	}
}

// TestCallTimeout holds that a plugin is killed when a call takes too long.
func TestCallTimeout(t *testing.T) {
	c := command("hangs")
	c.CallTimeout = 300 * time.Millisecond
	_, err := launchCompressor(t, c).Compress(t.Context(), weights(t, 8, 8))
	var died *plugins.DiedError
	if !errors.As(err, &died) || !strings.Contains(died.Killed, "CallTimeout") {
		t.Errorf("got %v", err)
	}
}

// TestClose holds that Close waits for a running call and that later calls return ErrClosed.
func TestClose(t *testing.T) {
	p, err := plugins.LaunchCompressor(t.Context(), command("slow"))
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error)
	go func() {
		_, err := p.Compress(context.Background(), weights(t, 8, 8))
		result <- err
	}()
	time.Sleep(100 * time.Millisecond) // the call is running
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Errorf("the running call: %v", err)
	}
	if err := p.Check(); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("Check after Close: %v", err)
	}
	if _, err := p.Compress(t.Context(), weights(t, 8, 8)); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestCleanEnd holds that a plugin that is closed exits by itself, with status 0.
func TestCleanEnd(t *testing.T) {
	for _, role := range []string{"topk", "cpu"} {
		var log bytes.Buffer
		c := command(role)
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if _, err := plugins.Describe(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), `state="exit status 0"`) {
			t.Errorf("%s: want exit status 0, got the log\n%s", role, log.String())
		}
	}
}

// TestUsage holds that a plugin that no host started prints how to start it, with its arguments.
func TestUsage(t *testing.T) {
	c := command("topk")
	for _, test := range []struct{ role, want string }{
		{"topk", "cram plugin info '" + c.Path + "?0.5&it'\\''s'\n"},
		{"nameless", "Plugin.Name"},
	} {
		cmd := exec.Command(c.Path, "0.5", "it's")
		cmd.Env = append(os.Environ(), role+"="+test.role)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %v, want %q in %s", test.role, err, test.want, out)
		}
	}
}

// TestChatter holds that much output without newlines does not block a call.
func TestChatter(t *testing.T) {
	p := launchCompressor(t, command("chatter"))
	for range 3 {
		if _, err := p.Compress(t.Context(), weights(t, 8, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStartErrors holds that the error of a failed start has the reason.
func TestStartErrors(t *testing.T) {
	wrong := command("topk")
	wrong.SHA256 = make([]byte, 32)
	slow := command("silent")
	slow.StartTimeout = 300 * time.Millisecond
	missing := command("topk")
	missing.Path = "/nowhere/plugin"
	script := plugins.Command{Path: filepath.Join(t.TempDir(), "cram-test-script")}
	if err := os.WriteFile(script.Path, []byte("echo no interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	interpreter := plugins.Command{Path: filepath.Join(t.TempDir(), "cram-test-script")}
	if err := os.WriteFile(interpreter.Path, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Dir(script.Path))
	negative := command("topk")
	negative.CallTimeout = -1
	for _, c := range []struct {
		name    string
		command plugins.Command
		cause   string
	}{
		{"mismatch", wrong, "SHA-256"},
		{"silent", slow, "StartTimeout"},
		{"missing", missing, "/nowhere/plugin"},
		{"ends", command("ends"), "wrong arguments ?[2J?"},
		{"a backend", command("cpu"), "LaunchBackend"},
		{"negative", negative, "CallTimeout"},
		{"nothing", plugins.Command{}, "Path"},
		{"no interpreter", script, "exec format error: want a binary of this system or a script that begins with #!INTERPRETER"},
		{"a missing interpreter", interpreter, "no such file"},
		{"not in PATH", plugins.Command{Path: "cram-test-script"}, "did you mean ./cram-test-script"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plugins.LaunchCompressor(t.Context(), c.command)
			if err == nil {
				p.Close()
				t.Fatal("the plugin started")
			}
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("got %v, want %q in it", err, c.cause)
			}
		})
	}
	if _, err := plugins.LaunchBackend(t.Context(), command("topk")); err == nil || !strings.Contains(err.Error(), "LaunchCompressor") {
		t.Errorf("a compressor as a backend: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plugins.LaunchCompressor(cancelled, command("topk")); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// TestPinned starts a pinned program.
func TestPinned(t *testing.T) {
	c := command("topk")
	program, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	c.SHA256 = sum[:]
	if _, err := launchCompressor(t, c).Compress(t.Context(), weights(t, 8, 8)); err != nil {
		t.Fatal(err)
	}
}

// TestEnvironment holds that the plugin gets no other variables of the host than those of its
// command.
func TestEnvironment(t *testing.T) {
	t.Setenv("CRAM_TEST_SECRET", "the secret")
	t.Setenv("CRAM_TEST_GIVEN", "what is given")
	c := command("environment")
	c.Env = append(c.Env, "CRAM_TEST_GIVEN")
	_, err := launchCompressor(t, c).Compress(t.Context(), weights(t, 8, 8))
	if err == nil || strings.Contains(err.Error(), "the secret") || !strings.Contains(err.Error(), "what is given") {
		t.Errorf("the environment is %v", err)
	}
}
