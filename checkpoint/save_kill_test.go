//go:build linux

package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv is the environment variable with the task and the directory of a child process.
const childEnv = "CRAM_TEST_CHILD"

// child returns a command that runs one of the tasks in this test binary.
func child(t *testing.T, task, dir string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.v")
	c.Env = append(os.Environ(), childEnv+"="+task+" "+dir)
	return c
}

// TestChild runs the task of a child process. Without one it does nothing.
func TestChild(t *testing.T) {
	task, dir, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		return
	}
	path := filepath.Join(dir, "net.cram")
	switch task {
	case "save": // until killed
		for n := uint64(os.Getpid()) << 32; ; n++ {
			if err := Save(path, numbered(t, n)); err != nil {
				t.Fatal(err)
			}
		}
	case "tmpfs": // 1 MiB of it, in a mount namespace that ends with the process
		if err := errors.Join(syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")); err != nil {
			t.Skipf("SKIPPED, this process may not mount: %v", err)
		}
		fillUp(t, path, syscall.ENOSPC)
	case "limit": // files of 600,000 bytes
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 600_000, Max: 600_000}); err != nil {
			t.Fatal(err)
		}
		fillUp(t, path, syscall.EFBIG)
	}
}

// fillUp saves a file that fits, one that does not, and one that fits again.
func fillUp(t *testing.T, path string, want error) {
	large := numbered(t, 2)
	large.Levels[0].Tensors["v"] = large.Levels[0].Tensors["w"]
	if err := Save(path, numbered(t, 1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := Save(path, large); !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
		if got := numberOf(t, path); got != 1 {
			t.Errorf("the disk was full, and the file is that of save %d", got)
		}
		if left := temporaries(path); len(left) != 0 {
			t.Errorf("%v is left on the full disk", left)
		}
	}
	if err := Save(path, numbered(t, 3)); err != nil || numberOf(t, path) != 3 {
		t.Errorf("after the failure: %v", err)
	}
}

// TestDiskFull fills a small file system, where this process may mount one, and exceeds a limit of
// file size.
func TestDiskFull(t *testing.T) {
	for _, task := range []string{"tmpfs", "limit"} {
		t.Run(task, func(t *testing.T) {
			c := child(t, task, t.TempDir())
			if task == "tmpfs" {
				if os.Getuid() != 0 {
					t.Skip("SKIPPED, needs root: mounts a file system")
				}
				c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			}
			out, err := c.CombinedOutput()
			if errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "SKIPPED") {
				t.Skipf("SKIPPED, this process may not mount: %v %s", err, out)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// kills is the number of processes to kill. CRAM_LONG=1 makes it large.
func kills() int {
	if os.Getenv("CRAM_LONG") == "1" {
		return 500
	}
	return 20
}

// TestKilledWhileSaving kills processes that save, at random times. The file then loads in full,
// and the next Save removes the temporary files, while two other processes save to the same path
// and lose none of theirs.
func TestKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "net.cram")
	if err := Save(path, numbered(t, 0)); err != nil {
		t.Fatal(err)
	}
	left, owners := 0, map[uint64]bool{}
	for range kills() {
		var processes []*exec.Cmd
		for range 2 {
			c := child(t, "save", dir)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			processes = append(processes, c)
		}
		before := numberOf(t, path)
		for deadline := time.Now().Add(time.Minute); numberOf(t, path) == before; {
			if time.Now().After(deadline) {
				t.Fatal("no process saves")
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(10_000)) * time.Microsecond)
		for _, c := range processes {
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(); c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("a save failed before its process was killed: %v", err)
			}
			owners[numberOf(t, path)>>32] = true
		}
		found := len(temporaries(path))
		if found > 2 {
			t.Errorf("%d temporary files of two processes: nobody sweeps", found)
		}
		left += found
	}
	t.Logf("%d kills, %d of them left a temporary file", 2*kills(), left)
	if left == 0 {
		t.Error("no process was killed while it wrote: the test proves little")
	}
	if err := Save(path, numbered(t, 1)); err != nil || numberOf(t, path) != 1 {
		t.Errorf("saving at last: %v", err)
	}
	if left := temporaries(path); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// TestSweep holds that sweep does not remove the file of a Save in progress, or a file that only
// looks like a temporary file of this path.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "net.cram")
	live, out, err := createTemp(osDisk{}, path)
	if err != nil {
		t.Fatal(err)
	}
	keep := []string{filepath.Base(live)}
	for _, name := range []string{"other.cram.00000000.tmp", "net.cram.0000000.tmp", "net.cram.0000000g.tmp", "net.cram.00000000.tm", "net.cram.00000000"} {
		keep = append(keep, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, keep[1]), path+".00000001.tmp"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path+".00000002.tmp", 0o666); err != nil {
		t.Fatal(err)
	}
	keep = append(keep, "net.cram.00000001.tmp", "net.cram.00000002.tmp")
	for i := range 3 {
		if err := os.WriteFile(fmt.Sprintf("%s.%08x.tmp", path, 0xabc0+i), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		sweep(path)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		slices.Sort(keep)
		if !slices.Equal(names, keep) {
			t.Errorf("%s: left %v, want %v", when, names, keep)
		}
	}
	check("while one saves")
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed, not yet renamed")
	out.release()
	keep = slices.DeleteFunc(keep, func(name string) bool { return name == filepath.Base(live) })
	check("released")
}
