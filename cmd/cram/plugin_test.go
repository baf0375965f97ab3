package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress"
)

// unstable is the argument that makes the test binary a plugin that declares itself deterministic
// and is not.
const unstable = "unstable-plugin"

func serveUnstable() {
	var calls atomic.Int64
	plugins.Serve(plugins.Plugin{Name: "unstable", Version: "1", Compressor: compress.Func("unstable", func(_ context.Context, w []compress.Weight) ([]compress.Compressed, error) {
		out, n := make([]compress.Compressed, len(w)), int(calls.Add(1))
		for i, x := range w {
			if x.Prunable() {
				out[i], _ = compress.Mask(x.Dims, func(j int) bool { return j%2 == n%2 })
			}
		}
		return out, nil
	})})
}

// steady is the argument that makes the test binary a plugin with the compressor Uniform(0.8).
const steady = "steady-plugin"

func serveSteady() {
	plugins.Serve(plugins.Plugin{Name: "steady", Version: "1", Compressor: compress.Func("steady:0.8", compress.Uniform(0.8).Compress)})
}

// stuck is the argument that makes the test binary a plugin whose compressor never returns.
const stuck = "stuck-plugin"

func serveStuck() {
	plugins.Serve(plugins.Plugin{Name: "stuck", Version: "1", Compressor: compress.Func("stuck", func(context.Context, []compress.Weight) ([]compress.Compressed, error) {
		select {}
	})})
}

// small builds examples/plugin-go, which is a separate module.
func small(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = "../../examples/plugin-go"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestPlugin(t *testing.T) {
	path, dir := small(t), t.TempDir()
	small := path + "?0.01"
	if got := must(t, "plugin", "info", small)[0]["compressor"].(map[string]any)["name"]; got != "small:0.01" {
		t.Errorf("the plugin's compressor is %v", got)
	}
	net, pruned := filepath.Join(dir, "net.cram"), filepath.Join(dir, "pruned.cram")
	must(t, "train", "--model", "small-cnn", "--data", "shapes", "--limit", "200", "--epochs", "1", "--levels", "plugin:"+small, "--out", net)
	must(t, "compress", net, "--with", "plugin:"+small, "--data", "shapes", "--batches", "2", "--out", pruned)
	zeros := map[any]any{}
	for _, row := range must(t, "inspect", pruned) {
		if row["level"] == "small:0.01" {
			zeros[row["tensor"]] = row["sparsity"]
		}
	}
	if z, ok := zeros["conv2.weight"].(float64); !ok || z == 0 {
		t.Errorf("zeros of the level: %v", zeros)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pinned := fmt.Sprintf("%s@sha256:%x?0.01", path, sha256.Sum256(program))
	if got := must(t, "plugin", "info", pinned)[0]["compressor"].(map[string]any)["name"]; got != "small:0.01" {
		t.Errorf("the pinned plugin's compressor is %v", got)
	}
	if err := os.WriteFile(path, append(program, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plugin", "info", pinned}, {"compress", net, "--with", "plugin:" + pinned, "--out", pruned}, {"eval", net, "--data", "shapes", "--backend", "plugin:" + pinned}} {
		if o := try(t.Context(), args...); o.code != 1 || !strings.Contains(o.stderr, "not the program that was pinned") {
			t.Errorf("%v of another program: %+v", args, o)
		}
	}
	if o := try(t.Context(), "plugin", "info", filepath.Join(dir, "none")); o.code != 1 || !strings.Contains(o.stderr, "none") {
		t.Errorf("info of no program: %+v", o)
	}
}

// TestPluginNames holds that the errors of names show how to write the name of a plugin.
func TestPluginNames(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	write(t, program, nil)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"compress", "net.cram", "--with", "none", "--out", "x"}, "or plugin:PROGRAM?ARG&ARG"},
		{[]string{"compress", "net.cram", "--with", "./chan?0.5", "--out", "x"}, "did you mean plugin:./chan?0.5"},
		{[]string{"train", "--model", "small-cnn", "--data", "shapes", "--epochs", "1", "--levels", program, "--out", "x"}, "did you mean plugin:" + program},
		{[]string{"train", "--model", "small-cnn", "--data", "shapes", "--epochs", "1", "--out", filepath.Join(t.TempDir(), "x"), "--backend", program}, "did you mean plugin:" + program},
		{[]string{"compress", "net.cram", "--with", "only(fc.*):plugin:./chan", "--out", "x"}, "want a built-in compressor after only(…) and except(…)"},
		{[]string{"plugin", "info", "./chan", "0.5", "1"}, "write the arguments of the program as './chan?0.5&1'"},
		{[]string{"plugin", "test", "./chan", "0.5"}, "write the arguments of the program as './chan?0.5'"},
		{[]string{"plugin", "info"}, "want one argument, PROGRAM"},
	} {
		if o := try(t.Context(), c.args...); o.code != 2 || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%v: %d %s, want %q", c.args, o.code, o.stderr, c.want)
		}
	}
	if o := try(t.Context(), "plugin", "info", "plugin:./chan?0.5"); strings.Contains(o.stderr, "plugin:./chan") || !strings.Contains(o.stderr, "./chan") {
		t.Errorf("with a prefix: %+v", o)
	}
}

// TestPluginTest builds the command, because the suite must also run outside a test binary.
func TestPluginTest(t *testing.T) {
	cram := filepath.Join(t.TempDir(), "cram")
	if out, err := exec.Command("go", "build", "-o", cram, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		passed  bool
		want    string
	}{
		{small(t) + "?0.01", true, "--- PASS: Plugin/suite/shared/Compressor/returns_the_same_result_again"},
		{self + "?" + unstable, false, "--- FAIL: Plugin/suite/shared/Compressor/returns_the_same_result_again"},
		{self + "?" + stuck, false, "no reply within 500ms"},
		{"./no-such-program", false, "no-such-program"},
	} {
		timeout := "1m"
		if strings.HasSuffix(c.program, stuck) {
			timeout = "500ms"
		}
		var stderr strings.Builder
		cmd := exec.CommandContext(t.Context(), cram, "plugin", "test", c.program, "--timeout", timeout, "--json")
		cmd.Stderr = &stderr
		stdout, err := cmd.Output()
		if (err == nil) != c.passed || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: %v, want %q in\n%s", c.program, err, c.want, stderr.String())
		}
		for line := range strings.Lines(stderr.String()) {
			if fault := strings.TrimSpace(line); strings.Contains(fault, "declared deterministic") && strings.Count(stderr.String(), fault) > 2 {
				t.Errorf("%s: the line %q more than once for shared memory and once for streams in\n%s", c.program, fault, stderr.String())
			}
		}
		var result testResult
		if err := json.Unmarshal(stdout, &result); err != nil || result != (testResult{c.program, c.passed}) {
			t.Errorf("%s: result %s, %v", c.program, stdout, err)
		}
	}
}
