package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// Each is one life of a Process, to its end.
func lives(t *testing.T) map[string]func() {
	sh := func(text string) Spec { return Spec{Path: "sh", Args: []string{"-c", text}} }
	good, noInterpreter, noProgram := script(t, good), script(t, "#!/no/such/interpreter\n"), script(t, "\x7fELF and no more")
	begin := func(s Spec) *Process {
		p, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Runner(nil).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p
	}
	fail := func(s Spec, between func()) {
		p, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		between()
		if err := p.Runner(nil).Start(t.Context()); err == nil {
			t.Errorf("%s started", s.Path)
		}
		await(t, p.Exited(), "the end of what does not start") // without Destroy
	}
	nothing := func() {}
	return map[string]func(){
		"exits":          func() { <-begin(sh("exit 3")).Exited() }, // without Destroy
		"killed":         func() { begin(sh("sleep 1000")).Destroy() },
		"with a family":  func() { <-begin(sh("sleep 1000 & exit 0")).Exited() },
		"pinned":         func() { <-begin(Spec{Path: good, SHA256: sumOf(good)}).Exited() },
		"pinned, killed": func() { begin(Spec{Path: good, SHA256: sumOf(good)}).Destroy() },
		"not started": func() {
			p, err := New(Spec{Path: good, SHA256: sumOf(good)})
			if err != nil {
				t.Fatal(err)
			}
			p.Destroy()
		},
		"mismatch": func() {
			if _, err := New(Spec{Path: good, SHA256: make([]byte, 32)}); err == nil {
				t.Error("took another program than the pinned one")
			}
		},
		"no interpreter":         func() { fail(Spec{Path: noInterpreter}, nothing) },
		"no interpreter, pinned": func() { fail(Spec{Path: noInterpreter, SHA256: sumOf(noInterpreter)}, nothing) },
		"no program":             func() { fail(Spec{Path: noProgram}, nothing) },
		"removed": func() {
			path := script(t, evil)
			fail(Spec{Path: path}, func() { os.Remove(path) })
		},
		"folder removed": func() {
			dir := filepath.Join(t.TempDir(), "gone")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			fail(Spec{Path: good, Dir: dir}, func() { os.Remove(dir) })
		},
	}
}

func TestNothingIsLeft(t *testing.T) {
	all := lives(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, live := range all { // whatever is opened once and for all, is
		live()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes forgotten files
	files, routines := descriptors(t), runtime.NumGoroutine()
	for range 50 {
		for _, live := range all {
			live()
		}
	}
	settle(t, func() (string, bool) {
		f, r := descriptors(t), runtime.NumGoroutine()
		return fmt.Sprintf("%d descriptors, were %d; %d goroutines, were %d", f, files, r, routines), f <= files && r <= routines
	})
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("there is a child left: %d, %v", pid, err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A child inherits its three standard files and, pinned, its program, also when others are started at the same time. What the tests' own
// parent left open to every child is none of ours.
func TestInheritedDescriptors(t *testing.T) {
	plain := exec.Command(self(t), "child", "descriptors")
	said, err := plain.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{"0": true, "1": true, "2": true, "3": true}
	for line := range strings.Lines(string(said)) {
		name, _, _ := strings.Cut(line, " ")
		expected[name] = true
	}
	var all sync.WaitGroup
	for range 8 {
		log := new(lines)
		p, r := prepare(t, Spec{Path: self(t), Args: []string{"child", "descriptors"}, SHA256: sumOf(self(t)), Log: log.add})
		all.Go(func() {
			if err := r.Start(t.Context()); err != nil {
				t.Error(err)
				return
			}
			<-p.Exited()
			if len(*log) < 4 {
				t.Errorf("the child has only %q", *log)
			}
			for _, line := range *log {
				if name, _, _ := strings.Cut(line, " "); !expected[name] {
					t.Errorf("the child has %s", line)
				}
			}
		})
	}
	all.Wait()
}

func TestMessages(t *testing.T) {
	p, r, _ := startRole(t, "messages")
	for _, message := range []string{"abc", "de"} {
		if _, err := p.Socket().Write([]byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	if got := firstLine(t, r); got != "3 2" {
		t.Errorf("messages of %s bytes, expected 3 2", got)
	}
}

// The end of a traced child is its tracer's to collect, so that for us it looks like one that the kernel cannot end.
func TestChildThatDoesNotEnd(t *testing.T) {
	p, r, _ := startRole(t, "traced")
	said := firstLine(t, r)
	tracer, err := strconv.Atoi(said)
	if err != nil {
		t.Skipf("SKIPPED, no process may trace another here: %s", said)
	}
	defer syscall.Kill(tracer, syscall.SIGKILL)
	p.Destroy()
	if got := p.State(); got != "killed, but does not end" {
		t.Errorf("state %q", got)
	}
	if isClosed(p.Exited()) {
		t.Error("exited")
	}
	if err := r.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "held by a debugger") {
		t.Errorf("Wait: %v", err)
	}
	if err := r.Kill(t.Context()); err == nil {
		t.Error("Kill says that it has ended")
	}
	if n, err := r.Stderr().Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("go-plugin still reads")
	}
	if err := syscall.Kill(tracer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, p.Exited(), "the end")
	if got := p.State(); got != "signal: killed" {
		t.Errorf("state %q", got)
	}
}

func TestHostIsKilled(t *testing.T) {
	temp := t.TempDir()
	host := exec.Command(self(t), "child", "host")
	host.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || syscall.Kill(pid, 0) != nil {
		t.Fatalf("the host has no child: %q", line)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	expectGone(t, pid)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
