// Package testdata finds the real data sets that some tests need.
//
// The module ships no data. A test that wants some calls [Dir] and gets the folder named by CRAM_DATA, laid out as the
// data sets' authors publish them: cifar-10-batches-bin/, mnist/, fashion-mnist/ and so on. Without it the test is
// skipped, aloud; with CRAM_REQUIRE_DATA=1 it fails instead, so that a complete run cannot pass by skipping.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the folder of real data, after checking that it holds each of the named entries (slash-separated paths).
// It skips the test when the folder or an entry is missing, and fails it when CRAM_REQUIRE_DATA=1.
func Dir(t testing.TB, entries ...string) string {
	t.Helper()
	dir, why := find(t, entries)
	if why != "" {
		t.Skipf("SKIPPED, needs real data: %s", why)
	}
	return dir
}

// Find is [Dir] for tests that have something to fall back on: where data is missing it says so in the log and returns "".
func Find(t testing.TB, entries ...string) string {
	t.Helper()
	dir, why := find(t, entries)
	if why != "" {
		t.Logf("NOT ON REAL DATA: %s", why)
		return ""
	}
	return dir
}

// find returns the folder, or why it is not to be had; that fails the test when CRAM_REQUIRE_DATA=1.
func find(t testing.TB, entries []string) (dir, why string) {
	t.Helper()
	if dir = os.Getenv("CRAM_DATA"); dir == "" {
		why = "CRAM_DATA is not set: it names the folder that holds cifar-10-batches-bin/, mnist/, …"
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
