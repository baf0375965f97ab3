package plugins_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/backendtest"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// launch starts a plugin that is a backend. The test ends it.
func launch(t testing.TB, c plugins.Command) *plugins.Backend {
	t.Helper()
	b, err := plugins.LaunchBackend(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestConformance runs the suite of backends across the process boundary, in shared memory and in
// streams.
func TestConformance(t *testing.T) {
	for name, stream := range map[string]bool{"shared": false, "streamed": true} {
		t.Run(name, func(t *testing.T) {
			c := command("cpu")
			c.Stream = stream
			b := launch(t, c)
			if b.Describe().SharedMemory == stream {
				t.Fatalf("shared memory is %v", b.Describe().SharedMemory)
			}
			backendtest.Run(t, b, backendtest.Options{})
		})
	}
}

// TestPanic holds that a panic of a backend is an error with its output that wraps ErrLost.
func TestPanic(t *testing.T) {
	session, err := launch(t, command("backend that panics")).NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = session.Get(t.Context(), "w")
	var died *plugins.DiedError
	if !errors.Is(err, backends.ErrLost) || !errors.As(err, &died) || died.State != "exit status 2" || !strings.Contains(died.Output, "a bug of the backend's") {
		t.Errorf("got %v", err)
	}
}

// TestOwnOutputs holds that outputs which a backend does not write to the tensors of the call are an
// error, and not zeros.
func TestOwnOutputs(t *testing.T) {
	session, err := launch(t, command("own outputs")).NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := graph.NewBuilder()
	x := b.Input("x", array.F32, graph.Of(2))
	b.Output("y", b.Add(x, x))
	program, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	e, err := session.Compile(t.Context(), program, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	in, err := array.From([]float32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := e.Run(t.Context(), []array.Tensor{in}, nil); !errors.Is(err, backends.ErrLost) || !strings.Contains(err.Error(), "output 0: want the tensor of the call") {
		t.Errorf("got %v, %v", out, err)
	}
}

// TestSameInfo holds that a plugin reports the same Info as a local backend.
func TestSameInfo(t *testing.T) {
	local, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	b := launch(t, command("cpu"))
	if b.Info() != local.Info() {
		t.Errorf("the plugin's backend is %+v, the local one %+v", b.Info(), local.Info())
	}
	if got, want := len(b.Describe().Backend.Ops), len(local.Ops()); got != want || want != len(graph.Ops()) {
		t.Errorf("the plugin reports %d ops, the backend has %d, the table %d", got, want, len(graph.Ops()))
	}
}
