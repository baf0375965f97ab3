package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// A powerDisk is a disk in memory that records all operations, so that cut can compute what a
// power cut leaves. It promises no more than POSIX: the content of a file is safe once the file is
// synced, names once the directory is. The rest may be lost, reach the disk out of order, or reach
// it in part; only a name changes at once, from one file to another.
type powerDisk struct {
	inodes int
	log    []operation
	names  map[string]int // of the running system
}

// An operation is one entry of the log: a write or a sync of an inode, a name that is bound or
// unbound, or a sync of the directory.
type operation struct {
	kind   opKind
	inode  int
	offset int
	data   []byte
	name   string
}

type opKind int

const (
	opWrite opKind = iota
	opSync
	opBind
	opUnbind
	opSyncDir
)

func newPowerDisk() *powerDisk { return &powerDisk{names: map[string]int{}} }

func (d *powerDisk) create(path string) (file, error) {
	if _, ok := d.names[path]; ok {
		return nil, fs.ErrExist
	}
	d.inodes++
	d.names[path] = d.inodes
	d.log = append(d.log, operation{kind: opBind, inode: d.inodes, name: path})
	return &powerFile{disk: d, inode: d.inodes}, nil
}

func (d *powerDisk) rename(from, to string) error {
	inode, ok := d.names[from]
	if !ok {
		return fs.ErrNotExist
	}
	d.names[to] = inode
	delete(d.names, from)
	d.log = append(d.log, operation{kind: opBind, inode: inode, name: to}, operation{kind: opUnbind, name: from})
	return nil
}

func (d *powerDisk) remove(path string) error {
	delete(d.names, path)
	d.log = append(d.log, operation{kind: opUnbind, name: path})
	return nil
}

func (d *powerDisk) syncDir(string) error {
	d.log = append(d.log, operation{kind: opSyncDir})
	return nil
}

type powerFile struct {
	disk          *powerDisk
	inode, offset int
}

func (f *powerFile) Write(b []byte) (int, error) {
	f.disk.log = append(f.disk.log, operation{kind: opWrite, inode: f.inode, offset: f.offset, data: bytes.Clone(b)})
	f.offset += len(b)
	return len(b), nil
}

func (f *powerFile) Sync() error {
	f.disk.log = append(f.disk.log, operation{kind: opSync, inode: f.inode})
	return nil
}

func (f *powerFile) Close() error { return nil }
func (f *powerFile) release()     {}

// sector is the number of bytes that a disk writes as a whole or not at all.
const sector = 512

// cut returns the file at path after a power cut following n operations: what was synced, and a
// random part of the rest. ok is false if there is no file.
func (d *powerDisk) cut(n int, path string, chance *rand.Rand) (content []byte, ok bool) {
	log := d.log[:n]
	directory := lastSync(log, func(o operation) bool { return o.kind == opSyncDir })
	inode := 0
	for i, o := range log {
		if (o.kind == opBind || o.kind == opUnbind) && o.name == path && (i < directory || chance.IntN(2) == 0) {
			inode = o.inode // 0 when unbound
		}
	}
	if inode == 0 {
		return nil, false
	}
	synced := lastSync(log, func(o operation) bool { return o.kind == opSync && o.inode == inode })
	for i, o := range log {
		if o.kind != opWrite || o.inode != inode {
			continue
		}
		for at := 0; at < len(o.data); {
			end := min(len(o.data), at+sector-(o.offset+at)%sector)
			// the length may be on the disk and the bytes not
			grown := i < synced || chance.IntN(4) > 0
			if grown && o.offset+end > len(content) {
				content = append(content, make([]byte, o.offset+end-len(content))...)
			}
			if i < synced || grown && chance.IntN(4) > 0 {
				copy(content[o.offset+at:], o.data[at:end])
			}
			at = end
		}
	}
	return content, true
}

// lastSync returns the number in the log of the last operation that is, 0 if none is.
func lastSync(log []operation, is func(operation) bool) int {
	for i, o := range slices.Backward(log) {
		if is(o) {
			return i
		}
	}
	return 0
}

// cuts saves one file after the other, cuts the power at random the given number of times, and
// returns how often path then had neither the file of the last finished save nor that of the save
// in progress.
func cuts(t *testing.T, save func(d *powerDisk, path string, f *File) error, count int) (wrong, old, fresh int) {
	t.Helper()
	const path = "directory/net.cram"
	d := newPowerDisk()
	returned := []int{0}       // the length of the log when save k had returned
	contents := [][]byte{nil}  // what save k wrote
	for k := range uint64(4) { // of several lengths, growing and shrinking, in several writes
		f := &File{Info: Info{Seed: k}, Levels: []Level{{Name: "dense", Tensors: map[string]array.Value{
			"a": array.DenseValue(random(t, uint32(k), 3000+2000*int(k%2))), "b": array.DenseValue(random(t, uint32(k)+9, 2000)),
		}}}}
		if err := save(d, path, f); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Write(&b, f); err != nil {
			t.Fatal(err)
		}
		returned, contents = append(returned, len(d.log)), append(contents, b.Bytes())
	}
	for seed := range count {
		chance := rand.New(rand.NewPCG(7, uint64(seed)))
		n := chance.IntN(len(d.log) + 1)
		if seed%4 == 0 { // just when a save has returned
			n = returned[chance.IntN(len(returned))]
		}
		done := 0
		for k, at := range returned {
			if at <= n {
				done = k
			}
		}
		content, ok := d.cut(n, path, chance)
		isOld := loads(content, ok, contents[done])
		isNew := n > returned[done] && loads(content, ok, contents[done+1])
		switch {
		case isOld:
			old++
		case isNew:
			fresh++
		default:
			wrong++
		}
	}
	return wrong, old, fresh
}

// loads reports whether a file loads in full and is the one that was saved. A nil want means no
// file.
func loads(content []byte, exists bool, want []byte) bool {
	if !exists || want == nil {
		return !exists && want == nil
	}
	r, err := NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return false
	}
	f, err := r.File()
	if err != nil {
		return false
	}
	var b bytes.Buffer
	return Write(&b, f) == nil && bytes.Equal(b.Bytes(), want)
}

// TestPowerCuts cuts the power 1,000 times during four saves to one path.
func TestPowerCuts(t *testing.T) {
	wrong, old, fresh := cuts(t, func(d *powerDisk, path string, f *File) error { return save(d, path, f) }, 1000)
	if wrong > 0 {
		t.Errorf("after %d of 1000 power cuts neither the old file nor the new one loads", wrong)
	}
	if old < 100 || fresh < 10 {
		t.Errorf("%d cuts left the old file and %d the new one: the cuts fall all in one place", old, fresh)
	}
}

// careless is a powerDisk under a save that omits a step.
type careless struct {
	*powerDisk
	file, directory bool // not synced
}

func (d careless) create(path string) (file, error) {
	f, err := d.powerDisk.create(path)
	if d.file {
		f = unsynced{f}
	}
	return f, err
}

func (d careless) syncDir(dir string) error {
	if d.directory {
		return nil
	}
	return d.powerDisk.syncDir(dir)
}

type unsynced struct{ file }

func (unsynced) Sync() error { return nil }

// TestPowerCutsCanFail tests the test: it detects saves that omit one step.
func TestPowerCutsCanFail(t *testing.T) {
	for name, c := range map[string]func(d *powerDisk, path string, f *File) error{
		"the file is not synced":      func(d *powerDisk, path string, f *File) error { return save(careless{d, true, false}, path, f) },
		"the directory is not synced": func(d *powerDisk, path string, f *File) error { return save(careless{d, false, true}, path, f) },
		"the file is synced after its name changed": func(d *powerDisk, path string, f *File) error {
			temp := path + ".tmp"
			out, err := d.create(temp)
			if err != nil {
				return err
			}
			return errors.Join(Write(out, f), d.rename(temp, path), out.Sync(), d.syncDir(filepath.Dir(path)))
		},
		"the file is written in place": func(d *powerDisk, path string, f *File) error {
			out := &powerFile{disk: d, inode: d.names[path]}
			if out.inode == 0 {
				created, err := d.create(path)
				if err != nil {
					return err
				}
				out = created.(*powerFile)
			}
			return errors.Join(Write(out, f), out.Sync(), d.syncDir(filepath.Dir(path)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrong, _, _ := cuts(t, c, 1000)
			t.Logf("%d of 1000 cuts are caught", wrong)
			if wrong == 0 {
				t.Error("no power cut shows it")
			}
		})
	}
}
