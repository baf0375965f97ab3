//go:build unix

package process

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// lines collects a log. The calls of Log do not overlap, and tests read the lines after Exited.
type lines []string

func (l *lines) add(line string) { *l = append(*l, line) }

func self(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func sumOf(path string) []byte {
	b, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

func prepare(t *testing.T, s Spec) (*Process, runner.Runner) {
	t.Helper()
	p, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Destroy)
	return p, p.Runner(nil)
}

func start(t *testing.T, s Spec) (*Process, runner.Runner) {
	t.Helper()
	p, r := prepare(t, s)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, r
}

// startRole starts the test binary in a role.
func startRole(t *testing.T, role string) (*Process, runner.Runner, *lines) {
	t.Helper()
	log := new(lines)
	p, r := start(t, Spec{Path: self(t), Args: []string{"child", role}, Log: log.add})
	return p, r, log
}

// await fails a test that hangs. It does not test times.
func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatalf("waited a minute for %s", what)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what func() (string, bool)) {
	t.Helper()
	var last string
	for range 3000 {
		state, ok := what()
		if ok {
			return
		}
		last = state
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the condition does not hold: %s", last)
}

func firstLine(t *testing.T, r runner.Runner) string {
	t.Helper()
	line, err := bufio.NewReader(r.Stdout()).ReadString('\n')
	if err != nil {
		t.Fatalf("first line of %s: %q, %v; %s", r.Name(), line, err, r.Diagnose(t.Context()))
	}
	return strings.TrimSpace(line)
}

func pidLine(t *testing.T, r runner.Runner) int {
	t.Helper()
	pid, err := strconv.Atoi(firstLine(t, r))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitEnd waits until a process has ended that is not our child. A process that is not reaped yet
// has ended, too.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	eventually(t, func() (string, bool) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return "", true
		}
		out, _ := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		stat := strings.TrimSpace(string(out))
		return "process " + strconv.Itoa(pid) + " is " + stat, stat == "" || stat[0] == 'Z'
	})
}

func TestEnds(t *testing.T) {
	for _, c := range []struct{ role, state, tail string }{
		{"exit", "exit status 3", ""},
		{"panic", "exit status 2", "panic: boom"},
		{"one long line", "exit status 0", "xxxx"},
		{"chatter", "exit status 0", "the end of stdout\n"},
		{"flood stderr", "exit status 0", "the end of stderr\n"},
	} {
		t.Run(c.role, func(t *testing.T) {
			p, r, log := startRole(t, c.role)
			err := r.Wait(t.Context())
			if want := c.state == "exit status 0"; (err == nil) != want {
				t.Errorf("Wait: %v", err)
			}
			await(t, p.Exited(), "the end")
			if got := p.State(); got != c.state {
				t.Errorf("state %q, want %q", got, c.state)
			}
			tail := p.Tail()
			if !strings.Contains(tail, c.tail) || len(tail) > maxTail {
				t.Errorf("tail of %d bytes %.200q, want %q in at most %d", len(tail), tail, c.tail, maxTail)
			}
			for _, line := range *log {
				if len(line) > maxLine || strings.Contains(line, "\n") {
					t.Fatalf("a line of %d bytes went to the log", len(line))
				}
			}
			if d := r.Diagnose(t.Context()); !strings.Contains(d, c.state) || !strings.Contains(d, strings.TrimSpace(c.tail)) {
				t.Errorf("diagnosis %.300q", d)
			}
			r.Kill(t.Context())
			p.Destroy()
		})
	}
}

func TestAllOutputIsLogged(t *testing.T) {
	p, r, log := startRole(t, "chatter")
	if got := firstLine(t, r); got != "hello" {
		t.Errorf("first line %q", got)
	}
	await(t, p.Exited(), "the end")
	if got := len(strings.Join(*log, "")); got != 10<<20+len("hello")+len("the end of stdout") {
		t.Errorf("%d bytes in the log", got)
	}

	p, r, log = startRole(t, "flood stderr")
	await(t, p.Exited(), "the end")
	if got := len(*log); got != 10*(1<<20/32)+1 {
		t.Errorf("%d lines in the log", got)
	}
	if n, err := r.Stderr().Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("go-plugin's standard error gave %d bytes, %v", n, err)
	}
}

func TestDestroy(t *testing.T) {
	for _, role := range []string{"eof", "stubborn", "stopped", "deaf", "parent that sleeps"} {
		t.Run(role, func(t *testing.T) {
			p, r, _ := startRole(t, role)
			firstLine(t, r)
			if got := p.State(); got != "running" {
				t.Errorf("state %q", got)
			}
			var all sync.WaitGroup
			for range 4 { // more than once
				all.Go(p.Destroy)
			}
			all.Wait()
			await(t, p.Exited(), "the end")
			if got := p.State(); got != "signal: killed" {
				t.Errorf("state %q", got)
			}
			var exit *exec.ExitError
			if err := r.Wait(t.Context()); !errors.As(err, &exit) {
				t.Errorf("Wait: %v", err)
			}
			if err := r.Kill(t.Context()); err != nil {
				t.Errorf("Kill: %v", err)
			}
			if _, err := p.Socket().Write([]byte("x")); err == nil {
				t.Error("standard input is still open")
			}
		})
	}
}

func TestGrandchildren(t *testing.T) {
	t.Run("end with a child that exits", func(t *testing.T) {
		p, r, _ := startRole(t, "parent that exits")
		pid := pidLine(t, r)
		await(t, p.Exited(), "the end")
		if got := p.State(); got != "exit status 0" {
			t.Errorf("state %q", got)
		}
		awaitEnd(t, pid)
	})
	t.Run("end with a child that is killed", func(t *testing.T) {
		p, r, _ := startRole(t, "parent that sleeps")
		pid := pidLine(t, r)
		p.Destroy()
		awaitEnd(t, pid)
	})
	t.Run("that left the group do not block Wait", func(t *testing.T) {
		p, r, _ := startRole(t, "parent of a stray")
		pid := pidLine(t, r)
		defer syscall.Kill(pid, syscall.SIGKILL)
		await(t, p.Exited(), "the end")
		if err := r.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		if syscall.Kill(pid, 0) != nil {
			t.Error("the stray has ended: nothing was tested")
		}
	})
}

func TestStdin(t *testing.T) {
	// All are started at the same time: an end that another child inherits would keep a child
	// running.
	const n = 8
	var ps [n]*Process
	var all sync.WaitGroup
	for i := range ps {
		p, r := prepare(t, Spec{Path: self(t), Args: []string{"child", "eof"}})
		ps[i] = p
		all.Go(func() {
			if err := r.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, p := range ps {
		p.Socket().Close()
		await(t, p.Exited(), "the end of a child whose standard input is closed")
		if got := p.State(); got != "exit status 7" {
			t.Errorf("state %q", got)
		}
		for _, other := range ps[i+1:] {
			if got := other.State(); got != "running" {
				t.Fatalf("a child with open standard input: %s", got)
			}
		}
	}
}

// TestEnvironment compares the whole environment.
func TestEnvironment(t *testing.T) {
	t.Setenv("CRAM_TEST_SECRET", "planted")
	for _, c := range []struct{ spec, added, want []string }{
		{nil, nil, nil},
		{[]string{"A=1", "B=x y"}, []string{"COOKIE=c"}, []string{`"A=1"`, `"B=x y"`, `"COOKIE=c"`}},
		{[]string{"A=1"}, []string{"A=2"}, []string{`"A=2"`}},
	} {
		log := new(lines)
		p, _ := prepare(t, Spec{Path: self(t), Args: []string{"child", "environment"}, Env: c.spec, Log: log.add})
		if err := p.Runner(c.added).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, p.Exited(), "the end")
		slices.Sort(*log)
		if !slices.Equal(*log, c.want) {
			t.Errorf("environment %q, want %q", *log, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec Spec
		want string
	}{
		"empty path":        {Spec{}, "path of the program is empty"},
		"directory":         {Spec{Path: dir}, "is a directory"},
		"not executable":    {Spec{Path: plain}, "is not an executable file"},
		"missing":           {Spec{Path: filepath.Join(dir, "none")}, "no program"},
		"missing in PATH":   {Spec{Path: "cram-no-such-program"}, "no program"},
		"short sum":         {Spec{Path: self(t), SHA256: []byte{1, 2}}, "want 32 bytes, got 2"},
		"empty sum":         {Spec{Path: self(t), SHA256: []byte{}}, "want 32 bytes, got 0"},
		"environment":       {Spec{Path: self(t), Env: []string{"PATH"}}, "want entries NAME=VALUE"},
		"working directory": {Spec{Path: self(t), Dir: filepath.Join(dir, "none")}, "working directory"},
		"working on files":  {Spec{Path: self(t), Dir: plain}, "is a file"},
	} {
		p, err := New(c.spec)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if p != nil {
			t.Errorf("%s: a Process in addition to the error", name)
		}
	}
	if _, err := New(Spec{Path: filepath.Join(dir, "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing program: want fs.ErrNotExist, got %v", err)
	}
}

func TestStartsOnce(t *testing.T) {
	p, r, _ := startRole(t, "eof")
	if err := r.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	if got := p.State(); got != "running" {
		t.Errorf("after the second start: %s", got)
	}
	if pid := pidLine(t, r); r.ID() != strconv.Itoa(pid) {
		t.Errorf("ID %q, process %d", r.ID(), pid)
	}

	p, r = prepare(t, Spec{Path: self(t)})
	if r.ID() != "" || p.State() != "not started" {
		t.Errorf("before the start: ID %q, %s", r.ID(), p.State())
	}
	if err := r.Wait(t.Context()); err == nil {
		t.Error("Wait returned nil before the start")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Start(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("start with a cancelled context: %v", err)
	}
	p.Destroy()
	await(t, p.Exited(), "the end of a Process that was not started")
	if err := r.Start(t.Context()); err == nil {
		t.Error("started after Destroy")
	}
	if err := r.Wait(t.Context()); err == nil {
		t.Error("Wait returned nil without a child")
	}
	if r.ID() != "" || p.State() != "not started" {
		t.Errorf("after Destroy: ID %q, %s", r.ID(), p.State())
	}
}

// TestDestroyDuringStart holds the lock of forks, so that the start is running when Destroy is
// called.
func TestDestroyDuringStart(t *testing.T) {
	p, r := prepare(t, Spec{Path: self(t), Args: []string{"child", "sleeper"}})
	seen := func(what string, f func() bool) {
		eventually(t, func() (string, bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return what, f()
		})
	}
	var both sync.WaitGroup
	func() {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		both.Go(func() {
			if err := r.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
		seen("start", func() bool { return p.stage == starting })
		both.Go(p.Destroy)
		seen("Destroy", func() bool { return p.killTimer != nil })
	}()
	both.Wait()
	await(t, p.Exited(), "the end")
	if got := p.State(); got != "signal: killed" {
		t.Fatalf("state %q", got)
	}
}

// TestContexts holds that a context limits the wait and not the kill.
func TestContexts(t *testing.T) {
	p, r, _ := startRole(t, "eof")
	firstLine(t, r)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	if err := r.Kill(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Kill: %v", err)
	}
	await(t, p.Exited(), "the end")
	if got := p.State(); got != "signal: killed" {
		t.Errorf("state %q", got)
	}
}

// TestBlockedLog holds that Exited is closed although the Log blocks.
func TestBlockedLog(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	p, _ := start(t, Spec{Path: self(t), Args: []string{"child", "panic"}, Log: func(string) { <-block }})
	await(t, p.Exited(), "the end")
	if got := p.Tail(); got == "" {
		t.Error("no tail")
	}
}

func TestAddresses(t *testing.T) {
	_, r := prepare(t, Spec{Path: self(t)})
	for _, f := range []func(string, string) (string, string, error){r.PluginToHost, r.HostToPlugin} {
		if network, address, err := f("unix", "/a/b"); network != "unix" || address != "/a/b" || err != nil {
			t.Error(network, address, err)
		}
	}
}
