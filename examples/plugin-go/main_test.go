package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/plugins/plugintest"
)

func TestPlugin(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	if out, err := exec.Command("go", "build", "-o", small, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plugintest.Run(t, plugins.Command{Path: small}, plugintest.Options{})
}
