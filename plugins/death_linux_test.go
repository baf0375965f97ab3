package plugins_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk/array"
)

// TestHeartbeat holds that a stopped plugin is killed and that the error of the running call has
// the reason.
func TestHeartbeat(t *testing.T) {
	c := command("sleeps")
	c.Heartbeat = 500 * time.Millisecond
	p := launchCompressor(t, c)
	time.AfterFunc(50*time.Millisecond, func() {
		for _, pid := range children(t) {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
	})
	_, err := p.Compress(t.Context(), weights(t, 8, 8))
	var died *plugins.DiedError
	if !errors.As(err, &died) || !strings.Contains(died.Killed, "Heartbeat") || died.State != "signal: killed" {
		t.Errorf("got %v", err)
	}
}

// TestLostState holds that after the death of a backend all calls return an error that wraps
// ErrLost and has the exit status.
func TestLostState(t *testing.T) {
	b := launch(t, command("cpu"))
	session, err := b.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := array.From([]float32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Set(t.Context(), "w", array.DenseValue(w)); err != nil {
		t.Fatal(err)
	}
	for _, pid := range children(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	calls := map[string]func() error{
		"get":         func() error { _, err := session.Get(t.Context(), "w"); return err },
		"set":         func() error { return session.Set(t.Context(), "w", array.DenseValue(w)) },
		"new session": func() error { _, err := b.NewSession(t.Context()); return err },
	}
	for name, call := range calls {
		err := call()
		var died *plugins.DiedError
		if !errors.Is(err, backends.ErrLost) || !errors.As(err, &died) || died.State != "signal: killed" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := session.Close(); err != nil {
		t.Errorf("closing a session whose state is lost: %v", err)
	}
}

// playHost starts a plugin, prints its directory and its process, and waits to be killed.
func playHost() {
	if _, err := plugins.LaunchCompressor(context.Background(), command("topk")); err != nil {
		panic(err)
	}
	entries, _ := os.ReadDir(os.TempDir())
	for _, e := range entries {
		os.Stdout.WriteString("directory " + e.Name() + "\n")
	}
	for _, pid := range children(&testing.T{}) {
		os.Stdout.WriteString("plugin " + strconv.Itoa(pid) + "\n")
	}
	time.Sleep(time.Hour)
}

// TestHostKilled holds that the plugin exits and its directory is removed when the host is killed.
func TestHostKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	host := exec.Command(exe)
	host.Env = append(os.Environ(), role+"=host", "TMPDIR="+temporary)
	host.Stderr = os.Stderr
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	pid, directories := 0, 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "directory" {
			directories++
		} else if pid, err = strconv.Atoi(rest); err != nil {
			t.Fatal(lines.Text())
		}
	}
	if pid == 0 || directories == 0 {
		t.Fatalf("plugin %d, %d directories", pid, directories)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait() // it was killed
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := os.ReadDir(temporary)
		if err != nil {
			t.Fatal(err)
		}
		stat, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if alive := len(stat) > 0 && !strings.Contains(string(stat), ") Z "); !alive && len(left) == 0 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("plugin alive: %v, left: %v", alive, left)
		}
	}
}
