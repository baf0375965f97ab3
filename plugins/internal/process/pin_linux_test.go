package process

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// script writes an executable file.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

const good, evil = "#!/bin/sh\necho good \"$0\" $1 >&2\n", "#!/bin/sh\necho evil >&2\n"

func TestPinned(t *testing.T) {
	log := new(lines)
	path := script(t, good)
	p, r := start(t, Spec{Path: path, Args: []string{"arg"}, SHA256: sumOf(path), Log: log.add})
	await(t, p.Exited(), "the end")
	if want := []string{"good /proc/self/fd/3 arg"}; !slices.Equal(*log, want) {
		t.Errorf("the script wrote %q, want %q", *log, want)
	}
	if r.Name() != path {
		t.Errorf("name %q", r.Name())
	}

	p, r = start(t, Spec{Path: self(t), Args: []string{"child", "eof"}, SHA256: sumOf(self(t))})
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pidLine(t, r)))
	if err != nil || !strings.Contains(exe, "memfd:") {
		t.Errorf("the Go program runs from %q, %v", exe, err)
	}
	p.Socket().Close()
	await(t, p.Exited(), "the end")
	if got := p.State(); got != "exit status 7" {
		t.Errorf("state %q", got)
	}
}

func TestReplacedBetweenNewAndStart(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte(evil), 0o700); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		},
		"overwritten in place": func(path string) error { return os.WriteFile(path, []byte(evil), 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			log := new(lines)
			path := script(t, good)
			p, r := prepare(t, Spec{Path: path, SHA256: sumOf(path), Log: log.add})
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			await(t, p.Exited(), "the end")
			if len(*log) != 1 || !strings.HasPrefix((*log)[0], "good") {
				t.Errorf("the script wrote %q", *log)
			}
		})
	}
}

func TestMismatch(t *testing.T) {
	path := script(t, evil)
	want, got := sha256.Sum256([]byte(good)), sha256.Sum256([]byte(evil))
	_, err := New(Spec{Path: path, SHA256: want[:]})
	if err == nil {
		t.Fatal("another program than the pinned one is accepted")
	}
	for _, part := range []string{path, hex.EncodeToString(want[:]), hex.EncodeToString(got[:]), "pin the new sum"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not contain %q", err, part)
		}
	}
}

// TestPinnedIsSealed holds that the hashed copy cannot change, neither through its descriptor nor
// through one that the child opens again.
func TestPinnedIsSealed(t *testing.T) {
	path := script(t, good)
	p, _ := prepare(t, Spec{Path: path, SHA256: sumOf(path)})
	mem := p.program.inherited[0]
	if _, err := mem.WriteAt([]byte("x"), 0); err == nil {
		t.Error("written to")
	}
	if mem.Truncate(0) == nil || mem.Truncate(1<<20) == nil {
		t.Error("resized")
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", mem.Fd()), os.O_RDWR, 0)
	if err == nil {
		defer again.Close()
		if _, err := again.WriteAt([]byte("x"), 0); err == nil {
			t.Error("written to after opening it again")
		}
	}
	if _, err := unix.Mmap(int(mem.Fd()), 0, 10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		t.Error("mapped for writing")
	}
	if _, err := unix.FcntlInt(mem.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE); err != unix.EPERM {
		t.Errorf("the seals can change: %v", err)
	}
}

// TestOpenDoesNotBlock uses a FIFO, which blocks a program that opens it normally.
func TestOpenDoesNotBlock(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Spec{Path: fifo, SHA256: make([]byte, 32)}); err == nil || !strings.Contains(err.Error(), "want a regular file") {
		t.Errorf("a FIFO: %v", err)
	}
}
