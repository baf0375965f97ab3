//go:build unix

package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestIrregularFiles holds that Open refuses what is not a regular file, and does not wait for the
// writer of a pipe.
func TestIrregularFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, empty, garbage := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "garbage")
	err := errors.Join(syscall.Mkfifo(pipe, 0o666), os.WriteFile(empty, nil, 0o666), os.WriteFile(garbage, []byte("garbage garbage"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{pipe: "not a regular file", dir: "not a regular file", empty: "not a checkpoint", garbage: "not a checkpoint", os.DevNull: "not a regular file"} {
		r, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, %v, want an error that says %q", path, r, err, says)
		}
	}
	if _, err := Open(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
