package checkpoint

import (
	"bytes"
	"flag"
	"os"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/v1.cram anew; only right when the format has not been released")

// TestGolden holds that a file of this version loads for ever, and that it is still what is written.
func TestGolden(t *testing.T) {
	const path = "testdata/v1.cram"
	if *update {
		if err := Save(path, elastic(t)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(t, b).File()
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(elastic(t), got, equal); d != "" {
		t.Errorf("content changed (-want +got):\n%s", d)
	}
	if !bytes.Equal(write(t, elastic(t)), b) {
		t.Error("the same content is written as other bytes")
	}
}
