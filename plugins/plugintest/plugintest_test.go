package plugintest_test

import (
	"os"
	"testing"

	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/plugins/plugintest"
	"github.com/compressaware/cram/sdk/compress"
)

const role = "CRAM_TEST_ROLE"

// TestMain runs the tests, or a plugin when a role is set: the plugins of the tests are this
// binary.
func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "compressor":
		plugins.Serve(plugins.Plugin{Name: "nm", Version: "1", Compressor: compress.Func("own-2:4", compress.NM{N: 2, M: 4}.Compress), Pattern: compress.Pattern{N: 2, M: 4}})
	case "backend":
		plugins.Serve(plugins.Plugin{Name: "reference", Version: "1", Backend: reference.New()})
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"compressor", "backend"} {
		t.Run(kind, func(t *testing.T) {
			plugintest.Run(t, plugins.Command{Path: exe, Env: []string{role + "=" + kind}}, plugintest.Options{})
		})
	}
}
