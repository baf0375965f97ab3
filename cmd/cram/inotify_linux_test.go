package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// watch starts to watch directories, without their subdirectories, by inotify. The returned
// function fails the test if a file in them was opened, run, read, made or removed. Then it opens a
// file itself and fails the test if the watch has not seen it.
func watch(t *testing.T, dirs ...string) (quiet func()) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	for _, dir := range dirs {
		if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_ALL_EVENTS); err != nil {
			t.Fatal(err)
		}
	}
	seen := func() bool {
		n, err := syscall.Read(fd, make([]byte, 1<<16))
		if err != nil && err != syscall.EAGAIN {
			t.Fatal(err)
		}
		return n > 0
	}
	return func() {
		t.Helper()
		if seen() {
			t.Errorf("something in %q was touched", dirs)
		}
		files, err := filepath.Glob(filepath.Join(dirs[0], "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("nothing to watch: %v", err)
		}
		if _, err := os.ReadFile(files[0]); err != nil {
			t.Fatal(err)
		}
		if !seen() {
			t.Error("the watch sees nothing")
		}
	}
}
