package plugins_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
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

func start(t testing.TB, c plugins.Command) *plugins.Compressor {
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

// TestContract runs the suite of compressors through the process boundary: with masks, with values, in shared memory and in streams, with
// mutual TLS and without.
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
				compresstest.Run(t, start(t, c), compresstest.Options{})
			})
		}
	}
}

// TestSameAnswers: a plugin answers what the local compressor does, bit for bit.
func TestSameAnswers(t *testing.T) {
	w := weights(t, 37, 53)
	want, err := compress.TopK(0.9).Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	got, err := start(t, command("topk")).Compress(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[0].Mask.Data, want[0].Mask.Data) || !got[1].Mask.None() {
		t.Error("the plugin answers something else")
	}
}

// TestBadAnswers: what breaks the contract is refused with an error that names plugin, tensor and cause, and the plugin lives on.
func TestBadAnswers(t *testing.T) {
	for _, c := range []struct{ role, tensor, cause string }{
		{"nan", "fc.weight", "element 3"},
		{"shape", "fc.weight", "bytes"},
		{"dtype", "fc.weight", "bytes"},
		{"count", "", "5 weights, want all 2"},
		{"pattern", "fc.weight", "promises 2:4"},
		{"bias", "fc.bias", "masks are for kernels"},
		{"writes", "fc.weight", "must not change"},
		{"panics", "", "a bug of the plugin's"},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(c.role, func(t *testing.T) {
				command := command(c.role)
				command.Stream = stream
				p := start(t, command)
				for range 2 {
					w := weights(t, 8, 8)
					before := w[0].Data.Clone()
					_, err := p.Compress(t.Context(), w)
					if err == nil {
						t.Fatal("accepted")
					}
					for _, want := range []string{command.Path, c.tensor, c.cause} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%v\nwant %q in it", err, want)
						}
					}
					if died := (*plugins.DiedError)(nil); errors.As(err, &died) {
						t.Errorf("it died of it: %v", err)
					}
					if !bytes.Equal(before.Data, w[0].Data.Data) {
						t.Error("the weights have changed")
					}
				}
			})
		}
	}
}

// TestDeath: a plugin that dies is an error with its last words, no lost state for the trainer, and the next call starts it anew.
func TestDeath(t *testing.T) {
	p := start(t, command("exits"))
	for range 2 {
		begin := time.Now()
		_, err := p.Compress(t.Context(), weights(t, 8, 8))
		var died *plugins.DiedError
		if !errors.As(err, &died) || died.State != "exit status 3" || !strings.Contains(died.Output, "last words") || died.Killed != "" {
			t.Errorf("%#v after %v", err, time.Since(begin))
		}
		if errors.Is(err, backends.ErrLost) {
			t.Error("a compressor has no state to lose")
		}
	}
}

// TestCancel: a call that is cancelled ends, and its plugin lives on; one that does not end is killed with its plugin.
func TestCancel(t *testing.T) {
	for role, killed := range map[string]bool{"sleeps": false, "hangs": true} {
		t.Run(role, func(t *testing.T) {
			c := command(role)
			c.StopTimeout = 500 * time.Millisecond
			p := start(t, c)
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

// TestDeadline: a call without an answer ends with its plugin.
func TestDeadline(t *testing.T) {
	c := command("hangs")
	c.CallTimeout = 300 * time.Millisecond
	_, err := start(t, c).Compress(t.Context(), weights(t, 8, 8))
	var died *plugins.DiedError
	if !errors.As(err, &died) || !strings.Contains(died.Killed, "CallTimeout") {
		t.Errorf("got %v", err)
	}
}

// TestClose lets a call under way end.
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
	time.Sleep(100 * time.Millisecond) // it is under way
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Errorf("closing aborted a call under way: %v", err)
	}
	if err := p.Check(); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("a training would begin with a closed compressor: %v", err)
	}
	if _, err := p.Compress(t.Context(), weights(t, 8, 8)); !errors.Is(err, plugins.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestChatter: output without end or newline hangs nobody.
func TestChatter(t *testing.T) {
	p := start(t, command("chatter"))
	for range 3 {
		if _, err := p.Compress(t.Context(), weights(t, 8, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStarts: what does not start is an error that says why.
func TestStarts(t *testing.T) {
	wrong := command("topk")
	wrong.SHA256 = make([]byte, 32)
	slow := command("silent")
	slow.StartTimeout = 300 * time.Millisecond
	missing := command("topk")
	missing.Path = "/nowhere/plugin"
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
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plugins.LaunchCompressor(t.Context(), c.command)
			if err == nil {
				p.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.cause) {
				t.Errorf("%v\nwant %q in it", err, c.cause)
			}
		})
	}
	if _, err := plugins.LaunchBackend(t.Context(), command("topk")); err == nil || !strings.Contains(err.Error(), "LaunchCompressor") {
		t.Errorf("a compressor as a backend: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plugins.LaunchCompressor(cancelled, command("topk")); !errors.Is(err, context.Canceled) {
		t.Errorf("under a cancelled context: %v", err)
	}
}

// TestPinned executes the bytes that it checked.
func TestPinned(t *testing.T) {
	c := command("topk")
	program, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	c.SHA256 = sum[:]
	if _, err := start(t, c).Compress(t.Context(), weights(t, 8, 8)); err != nil {
		t.Fatal(err)
	}
}

// TestSecret: the plugin sees nothing of the environment that it was not given.
func TestSecret(t *testing.T) {
	t.Setenv("CRAM_TEST_SECRET", "the secret")
	t.Setenv("CRAM_TEST_GIVEN", "what is given")
	c := command("environment")
	c.Env = append(c.Env, "CRAM_TEST_GIVEN")
	_, err := start(t, c).Compress(t.Context(), weights(t, 8, 8))
	if err == nil || strings.Contains(err.Error(), "the secret") || !strings.Contains(err.Error(), "what is given") {
		t.Errorf("the environment is %v", err)
	}
}
