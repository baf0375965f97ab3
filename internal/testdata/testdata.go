// Package testdata finds the real data sets that some tests need.
//
// The module contains no data sets. [Dir] returns the directory in the environment variable
// CRAM_DATA, which has the layout of the published data sets: cifar-10-batches-bin/, mnist/,
// fashion-mnist/ and so on. Without it, Dir skips the test with a message. With
// CRAM_REQUIRE_DATA=1, it fails the test instead, so that a complete run contains all tests.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the directory of real data. Entries are slash-separated paths in it. If the directory
// or an entry is missing, Dir skips the test, or fails it with CRAM_REQUIRE_DATA=1.
func Dir(t testing.TB, entries ...string) string {
	t.Helper()
	dir, why := find(t, entries)
	if why != "" {
		t.Skipf("SKIPPED, needs real data: %s", why)
	}
	return dir
}

// Find is like [Dir] for tests that can run without real data. If data is missing, it writes to the
// log of the test and returns an empty string, or fails the test with CRAM_REQUIRE_DATA=1.
func Find(t testing.TB, entries ...string) string {
	t.Helper()
	dir, why := find(t, entries)
	if why != "" {
		t.Logf("NOT ON REAL DATA: %s", why)
		return ""
	}
	return dir
}

// find returns the directory, or why it cannot be used.
func find(t testing.TB, entries []string) (dir, why string) {
	t.Helper()
	if dir = os.Getenv("CRAM_DATA"); dir == "" {
		why = "CRAM_DATA is not set: want the directory with cifar-10-batches-bin/, mnist/, …"
	} else {
		for _, entry := range append([]string{"."}, entries...) {
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(entry))); err != nil {
				why = "CRAM_DATA: " + err.Error()
			}
		}
	}
	if why != "" && os.Getenv("CRAM_REQUIRE_DATA") == "1" {
		t.Fatalf("real data required (CRAM_REQUIRE_DATA=1) and missing: %s", why)
	}
	return dir, why
}
