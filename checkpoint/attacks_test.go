package checkpoint

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var attacks = flag.String("attacks", "", "write the files that tests want refused to this folder")

// writeAttack writes a file, named for what it does, and beside it the reason for which it is refused.
func writeAttack(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join(*attacks, "v2-"+strings.NewReplacer(" ", "-", ",", "", ":", "-", "³²", "32", "'", "").Replace(name))
	err := errors.Join(os.WriteFile(path+".cram", b, 0o666), os.WriteFile(path+".txt", []byte(readAll(b).Error()+"\n"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttacks holds that every committed attack is refused, for the reason that stands beside it, by whoever reads it and without much memory.
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
		err = readAll(b)
		if !errors.As(err, &bad) || err.Error() != strings.TrimSpace(string(reason)) {
			t.Errorf("%s: error %v, want %s", path, err, reason)
		}
		if withinBound(t, path, b) == nil {
			t.Errorf("%s: Verify refuses it, loading does not", path)
		}
	}
}
