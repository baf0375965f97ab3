package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// A recorder records how a test ends. It ends the test by a panic, as testing.T does by
// runtime.Goexit.
type recorder struct {
	testing.TB
	skipped, failed, logged bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Logf(string, ...any)   { r.logged = true }
func (r *recorder) Skipf(string, ...any)  { r.skipped = true; panic(r) }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; panic(r) }

func TestDir(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, data, require, entry string
		skipped, failed            bool
	}{
		{"there", dir, "", "there", false, false},
		{"unset", "", "", "there", true, false},
		{"unset, required", "", "1", "there", false, true},
		{"no such directory", filepath.Join(dir, "no"), "", "there", true, false},
		{"no such entry", dir, "", "no", true, false},
		{"no such entry, required", dir, "1", "no", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CRAM_DATA", c.data)
			t.Setenv("CRAM_REQUIRE_DATA", c.require)
			var r recorder
			func() {
				defer func() { recover() }()
				if got := Dir(&r, c.entry); got != dir {
					t.Errorf("Dir is %q, want %q", got, dir)
				}
			}()
			if r.skipped != c.skipped || r.failed != c.failed {
				t.Errorf("skipped %v, failed %v; want %v, %v", r.skipped, r.failed, c.skipped, c.failed)
			}
			r, found := recorder{}, ""
			func() {
				defer func() { recover() }()
				found = Find(&r, c.entry)
			}()
			if r.skipped || r.failed != c.failed || r.logged != c.skipped || (found == dir) != (!c.skipped && !c.failed) {
				t.Errorf("Find is %q: skipped %v, failed %v, logged %v", found, r.skipped, r.failed, r.logged)
			}
		})
	}
}
