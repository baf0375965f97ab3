//go:build unix

package sdk_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/compressaware/cram/sdk"
)

// TestPipe: a pipe that nobody writes to is refused at once, and does not hold up who loads it.
func TestPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "net.cram")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := sdk.LoadSparse(pipe)
	wantError(t, err, "sdk: LoadSparse", pipe, "not a regular file")
	_, err = sdk.Open(pipe)
	wantError(t, err, "sdk: Open", pipe, "not a regular file")
}
