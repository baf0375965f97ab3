package checkpoint

import (
	"bytes"
	"encoding/hex"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestFormatDump holds that the annotated bytes in FORMAT.md are those of the golden file, with the
// right offsets.
func TestFormatDump(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- hex: (\\S+) -->\n```text\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatal("FORMAT.md has no dump")
	}
	want, err := os.ReadFile(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	// An offset, then bytes in hexadecimal, or one byte and "× count", then the annotation.
	row := regexp.MustCompile(`^ *(\d+)  ((?:[0-9a-f]{2} ?)+)(?:× (\d+))?(?:  |$)`)
	var got []byte
	for _, line := range strings.Split(strings.TrimSuffix(string(m[2]), "\n"), "\n") {
		f := row.FindStringSubmatch(line)
		if f == nil {
			t.Fatalf("no row of the dump: %q", line)
		}
		if at, _ := strconv.Atoi(f[1]); at != len(got) {
			t.Errorf("offset %d, want %d: %q", at, len(got), line)
		}
		b, err := hex.DecodeString(strings.ReplaceAll(f[2], " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if f[3] != "" {
			n, _ := strconv.Atoi(f[3])
			b = bytes.Repeat(b, n)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the dump is\n%x, the file\n%x", got, want)
	}
}
