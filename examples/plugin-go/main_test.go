package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/compress/compresstest"
)

func TestPlugin(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	if out, err := exec.Command("go", "build", "-o", small, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := plugins.LaunchCompressor(t.Context(), plugins.Command{Path: small})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	compresstest.Run(t, c, compresstest.Options{})
}
