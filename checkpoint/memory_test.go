package checkpoint

import (
	"io"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// allocated returns how many bytes f allocates, including those that are freed.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestWriteStreams holds that dense tensors are not copied.
func TestWriteStreams(t *testing.T) {
	f := &File{Levels: []Level{{Name: "dense", Tensors: map[string]array.Value{}}}, State: &State{Tensors: map[string]array.Value{}}}
	for _, name := range []string{"a", "b", "c", "d"} {
		x := array.DenseValue(random(t, 1, 1<<20))
		f.Levels[0].Tensors[name], f.State.Tensors[name] = x, x
	}
	used := allocated(func() {
		if err := Write(io.Discard, f); err != nil {
			t.Fatal(err)
		}
	})
	if used > 1<<20 {
		t.Errorf("writing 32 MiB allocates %d bytes, want less than 1 MiB", used)
	}
}

// TestChunks writes and reads a tensor that is a little larger than a chunk.
func TestChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads 128 MiB")
	}
	x, err := array.New(array.I8, chunkBytes+3)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, chunkBytes - 1, chunkBytes, chunkBytes + 2} {
		x.Data[i] = byte(i + 1)
	}
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := Save(path, &File{Levels: []Level{{Name: "dense", Tensors: map[string]array.Value{"w": array.DenseValue(x)}}}}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := len(r.head.parts[0].values); n != 2 {
		t.Errorf("%d chunks, want 2", n)
	}
	l, err := r.Level("")
	if err != nil {
		t.Fatal(err)
	}
	if string(l.Tensors["w"].Values) != string(x.Data) {
		t.Error("the tensor changed")
	}
}

// bound returns the limit of memory for so many bytes of the file and of the tensors that it
// describes.
func bound(legal int) uint64 { return 64<<20 + 2*uint64(legal) }
