package checkpoint

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/graph"
)

var (
	attacks = flag.String("attacks", "", "write the files of TestSealedLiesAreRefused to this folder")
	flips   = flag.Int("flips", 1000, "how many random bits of a file of ResNet-20's size to flip")
)

// writeAttack writes a file, named for what it does, and beside it the reason for which it is refused.
func writeAttack(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join(*attacks, strings.NewReplacer(" ", "-", ",", "", ":", "-").Replace(name))
	err := errors.Join(os.WriteFile(path+".cram", b, 0o666), os.WriteFile(path+".txt", []byte(readAll(b).Error()+"\n"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAttacks holds that every committed attack is refused, for the reason that stands beside it, and without much memory.
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
		used := allocated(func() { err = readAll(b) })
		if !errors.As(err, &bad) || err.Error() != strings.TrimSpace(string(reason)) {
			t.Errorf("%s: error %v, want %s", path, err, reason)
		}
		if used > 64<<20+2*uint64(len(b)) {
			t.Errorf("%s: refused after %d bytes of memory", path, used)
		}
	}
}

// TestRandomFlips flips random bits, one at a time, of a file with the weights of a ResNet-20 at 90 % (270,000, in its shapes).
func TestRandomFlips(t *testing.T) {
	level := Level{Name: "topk:0.9", Tensors: map[string]graph.Value{}}
	in := 3
	for i := range 19 {
		out := 16 << max(0, (i-1)/6)
		level.Tensors["conv"+strconv.Itoa(i)] = topK(t, random(t, uint32(i), out, in, 3, 3), .9)
		in = out
	}
	b := write(t, &File{Levels: []Level{level}})
	r := rand.New(rand.NewPCG(1, 2))
	for range *flips {
		bit := r.IntN(8 * len(b))
		b[bit/8] ^= 1 << (bit % 8)
		var bad *FormatError
		if err := readAll(b); !errors.As(err, &bad) {
			t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	if err := readAll(b); err != nil {
		t.Fatal(err)
	}
}
