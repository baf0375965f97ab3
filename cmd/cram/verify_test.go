package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyAllFiles requires that all files are checked, also after a damaged one and one that
// cannot be read.
func TestVerifyAllFiles(t *testing.T) {
	file, dir := twoLevels(t), t.TempDir()
	none, junk := filepath.Join(dir, "none"), filepath.Join(dir, "junk")
	write(t, junk, []byte("junk"))
	o := try(t.Context(), "verify", none, dir, junk, file)
	lines := strings.Split(o.stdout, "\n")
	if o.code != 1 || len(lines) != 5 || !strings.Contains(o.stderr, "1 of 4 files damaged, 2 cannot be read") {
		t.Fatalf("%+v", o)
	}
	for i, want := range []string{none + ": cannot be read: ", dir + ": cannot be read: want a regular file", junk + ": damaged at byte 0 of 4: ", file + ": intact, "} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %q, want %q…", lines[i], want)
		}
	}
	if strings.Contains(o.stdout, "stat ") || strings.Count(lines[0], none) != 1 {
		t.Errorf("verify printed %q", lines[0])
	}
	o = try(t.Context(), "verify", "--json", none, file)
	if o.code != 1 || !strings.Contains(o.stdout, `"unreadable":true`) || !strings.Contains(o.stdout, `"intact":true`) || !strings.Contains(o.stderr, "1 of 2 files cannot be read") {
		t.Errorf("as JSON: %+v", o)
	}
}
