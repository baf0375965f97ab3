//go:build unix

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPinByCopy tests how systems without memfd pin a program.
func TestPinByCopy(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho good >&2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sumOf(path)
	copy, err := pinByCopy(path, sum)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho evil >&2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{copy.dir: 0o700 | os.ModeDir, copy.path: 0o500} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}

	log := new(lines)
	p, r := prepare(t, Spec{Path: path, Log: log.add})
	p.program = copy
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, p.Exited(), "the end")
	if got := strings.Join(*log, "|"); got != "good" {
		t.Errorf("the copy wrote %q", got)
	}

	if _, err := pinByCopy(path, sum); err == nil || !strings.Contains(err.Error(), "pin the new sum") {
		t.Errorf("another program than the pinned one: %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
