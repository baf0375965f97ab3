package checkpoint_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

var flips = flag.Int("flips", 1000, "how many random bits of a ResNet-20's file to flip")

// resnet20 returns the file of a ResNet-20 with seeded random weights: the levels dense, topk:0.5,
// topk:0.9 and nm:2:4, each with its own batch-norm statistics, and the programs.
func resnet20(t *testing.T) []byte {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	model, shape, err := models.New("resnet20", 10)
	check(err)
	decls, _, err := nn.Declare(model, shape)
	check(err)
	weights, err := nn.Initial(decls, 1)
	check(err)
	dense, err := sdk.FromWeights(model, sdk.Info{
		Model: "resnet20", Recipe: "seeded random weights", Data: "none", Seed: 1, Versions: map[string]string{"cram": "test"},
		Inputs:  []sdk.Port{{Shape: graph.Batch(3, 32, 32), Mean: []float32{.5, .5, .5}, Std: []float32{.25, .25, .25}}},
		Outputs: []sdk.Port{{Classes: strings.Split("abcdefghij", "")}},
	}, weights)
	check(err)
	net, err := sdk.Compress(t.Context(), dense, sdk.Calibration{}, compress.Identity{}, compress.TopK(.5), compress.TopK(.9), compress.NM{N: 2, M: 4})
	check(err)
	path := filepath.Join(t.TempDir(), "net.cram")
	check(net.Save(path))
	r, err := checkpoint.Open(path)
	check(err)
	defer r.Close()
	f, err := r.File()
	check(err)
	random := rand.New(rand.NewPCG(3, 4))
	for _, l := range f.Levels {
		for _, d := range decls {
			if d.Kind != graph.Stat {
				continue
			}
			x, err := l.Tensors[d.Name].Decode()
			check(err)
			for i := range x.F32() {
				x.F32()[i] = random.Float32()
			}
			l.Tensors[d.Name] = array.DenseValue(x)
		}
	}
	var out bytes.Buffer
	check(checkpoint.Write(&out, f))
	return out.Bytes()
}

// A region is consecutive bytes of a file, with the offset that an error must have when a bit in
// the region is flipped.
type region struct {
	begin, end int
	exact      bool // the offset is that of the byte; otherwise it is at
	at         int
	loose      bool // the offset is anything from begin to end
}

// regionsOf walks through a file, a sequence of MessagePack values, with a decoder of another
// package.
func regionsOf(t *testing.T, b []byte) []region {
	t.Helper()
	r := bytes.NewReader(b)
	d := msgpack.NewDecoder(r)
	at := func() int { return len(b) - r.Len() }
	skip := func() (content, end int) { // a binary
		code, err := d.PeekCode()
		if err != nil || code != msgpcode.Bin8 && code != msgpcode.Bin16 && code != msgpcode.Bin32 {
			t.Fatalf("byte %d: %x is no binary: %v", at(), code, err)
		}
		n, err := d.DecodeBytesLen()
		if err != nil {
			t.Fatal(err)
		}
		content = at()
		if _, err := r.Seek(int64(n), 1); err != nil {
			t.Fatal(err)
		}
		return content, at()
	}
	_, err := d.DecodeString()
	if err == nil {
		_, err = d.DecodeInt()
	}
	if err != nil {
		t.Fatal(err)
	}
	skip()
	head, end := skip()
	regions := []region{{begin: 0, end: head, loose: true}, {begin: head, end: end, at: head}}
	for end < len(b) {
		skip()
		content, next := skip()
		regions = append(regions, region{begin: end, end: content, exact: true}, region{begin: content, end: next, at: content})
		end = next
	}
	return regions
}

func (r region) wants(offset, flipped int64) bool {
	switch {
	case r.loose:
		return int64(r.begin) <= offset && offset <= int64(r.end)
	case r.exact:
		return offset == flipped
	}
	return offset == int64(r.at)
}

// TestRandomFlips flips random bits, one at a time, of the file of a ResNet-20. Verify must refuse
// each file with the right offset: the start of the chunk or of the table of contents, or the byte
// itself in padding. Every 20th file is also read without Verify, with the same error.
func TestRandomFlips(t *testing.T) {
	whole := resnet20(t)
	for _, read := range []func([]byte) error{verify, load} {
		if err := read(whole); err != nil {
			t.Fatal(err)
		}
	}
	regions := regionsOf(t, whole)
	t.Logf("%d flips in a file of %d bytes and %d chunks", *flips, len(whole), (len(regions)-2)/2)
	const workers = 2
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			b := bytes.Clone(whole)
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range (*flips + workers - 1 - w) / workers {
				bit := random.IntN(8 * len(b))
				b[bit/8] ^= 1 << (bit % 8)
				err := blame(regions, verify(b), int64(bit/8))
				if err == nil && i%20 == 0 {
					err = blame(regions, load(b), int64(bit/8))
				}
				if err != nil {
					t.Errorf("bit %d of byte %d: %v", bit%8, bit/8, err)
					return
				}
				b[bit/8] ^= 1 << (bit % 8)
			}
			if !bytes.Equal(b, whole) {
				t.Error("the test does not flip back")
			}
		})
	}
	group.Wait()
}

// TestEveryBitFlipIsRefused flips each bit of a small file with parts of all encodings, programs
// and a state. The error must have the right offset.
func TestEveryBitFlipIsRefused(t *testing.T) {
	b := small(t)
	regions := regionsOf(t, b)
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		if err := blame(regions, verify(b), int64(bit/8)); err != nil {
			t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// TestEveryTruncationIsRefused cuts the small file after each of its bytes, and adds a byte. The
// offset of the error is in the file; after the table of contents it is the end of the file, and
// the error has both sizes.
func TestEveryTruncationIsRefused(t *testing.T) {
	b := small(t)
	head := regionsOf(t, b)[1]
	for n := range len(b) + 2 {
		cut := append(bytes.Clone(b), 0)[:n]
		first, last, says := 0, n, ""
		switch {
		case n == len(b):
			continue
		case n >= head.end:
			first, last = min(n, len(b)), min(n, len(b))
			says = fmt.Sprintf("the file has %d bytes, its table of contents says %d", n, len(b))
		case n >= head.begin:
			first, last = head.begin, head.begin
			says = fmt.Sprintf("a table of contents of %d bytes; the file has %d left", head.end-head.begin, n-head.begin)
		}
		var bad *checkpoint.FormatError
		err := verify(cut)
		if !errors.As(err, &bad) || bad.Offset < int64(first) || bad.Offset > int64(last) || !strings.Contains(err.Error(), says) {
			t.Fatalf("the first %d of %d bytes: want it refused at byte %d to %d as %q: %v", n, len(b), first, last, says, err)
		}
	}
}

func small(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := checkpoint.Write(&out, checkpoint.Small(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func verify(b []byte) error {
	r, err := checkpoint.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	return r.Verify()
}

func load(b []byte) error {
	r, err := checkpoint.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	_, err = r.File()
	return err
}

// blame returns an error unless err is a FormatError with the offset for a flip in the given byte.
func blame(regions []region, err error, flipped int64) error {
	var bad *checkpoint.FormatError
	if !errors.As(err, &bad) {
		return fmt.Errorf("want it refused as damaged: %v", err)
	}
	i, _ := slices.BinarySearchFunc(regions, int(flipped), func(r region, at int) int {
		if r.end <= at {
			return -1
		}
		return 1
	})
	if r := regions[i]; !r.wants(bad.Offset, flipped) {
		return fmt.Errorf("want an error with an offset in bytes %d to %d: %v", r.begin, r.end, err)
	}
	return nil
}
