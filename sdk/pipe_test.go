//go:build unix

package sdk_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/compressaware/cram/sdk"
)

// TestPipe holds that Open and LoadSparse return an error for a pipe without a writer and do not
// block.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "net.cram")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := sdk.LoadSparse(t.Context(), pipe, sdk.PredictorOptions{})
	wantError(t, err, "sdk: LoadSparse", pipe, "not a regular file")
	_, err = sdk.Open(pipe)
	wantError(t, err, "sdk: Open", pipe, "not a regular file")
}
