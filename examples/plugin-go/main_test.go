package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/plugins/plugintest"
)

func TestPlugin(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	if out, err := exec.Command("go", "build", "-o", small, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plugintest.Run(t, plugins.Command{Path: small, Args: []string{"0.01"}}, plugintest.Options{})
}

// TestTrain runs the program that trains with the plugin.
func TestTrain(t *testing.T) {
	dir := t.TempDir()
	small, file := filepath.Join(dir, "small"), filepath.Join(dir, "net.cram")
	for _, args := range [][]string{{"build", "-o", small, "."}, {"run", "./train", small, file}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// TestArguments holds that wrong arguments are errors of the start with the reason.
func TestArguments(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	if out, err := exec.Command("go", "build", "-o", small, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for want, args := range map[string][]string{
		"want one argument": nil, "invalid syntax": {"x"}, "want a threshold of 0 or more, got -1": {"-1"},
	} {
		_, err := plugins.Describe(t.Context(), plugins.Command{Path: small, Args: args})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
