package checkpoint

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var attacks = flag.String("attacks", "", "write the files that tests want refused to this directory")

// writeAttack writes a file, named for what is wrong, and a file with the error of its reader.
func writeAttack(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join(*attacks, "v2-"+strings.NewReplacer(" ", "-", ",", "", ":", "-", "³²", "32", "'", "").Replace(name))
	err := errors.Join(os.WriteFile(path+".cram", b, 0o666), os.WriteFile(path+".txt", []byte(readAll(b).Error()+"\n"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttacks holds that every committed attack is refused with the committed error, by all ways to
// read it, within the limit of memory.
func TestAttacks(t *testing.T) {
	files, err := filepath.Glob("testdata/attacks/*.cram")
	if err != nil || len(files) == 0 {
		t.Fatalf("no attacks: %v", err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reason, err := os.ReadFile(strings.TrimSuffix(path, "cram") + "txt")
		if err != nil {
			t.Fatal(err)
		}
		var bad *FormatError
		if err = readAll(b); err == nil {
			t.Errorf("%s is accepted, want %s", path, reason)
			continue
		}
		if !errors.As(err, &bad) || err.Error() != strings.TrimSpace(string(reason)) {
			t.Errorf("%s: error %v, want %s", path, err, reason)
		}
		if withinBound(t, path, b) == nil {
			t.Errorf("%s: Verify refuses it, loading does not", path)
		}
	}
}
