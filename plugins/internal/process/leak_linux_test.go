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

// cycles are ways to create and end a Process.
func cycles(t *testing.T) map[string]func() {
	sh := func(text string) Spec { return Spec{Path: "sh", Args: []string{"-c", text}} }
	good, noInterpreter, noProgram := script(t, good), script(t, "#!/no/such/interpreter\n"), script(t, "\x7fELF and no more")
	start := func(s Spec) *Process {
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
		await(t, p.Exited(), "the end of a program that does not start") // without Destroy
	}
	nothing := func() {}
	return map[string]func(){
		"exits":          func() { <-start(sh("exit 3")).Exited() }, // without Destroy
		"killed":         func() { start(sh("sleep 1000")).Destroy() },
		"with children":  func() { <-start(sh("sleep 1000 & exit 0")).Exited() },
		"pinned":         func() { <-start(Spec{Path: good, SHA256: sumOf(good)}).Exited() },
		"pinned, killed": func() { start(Spec{Path: good, SHA256: sumOf(good)}).Destroy() },
		"not started": func() {
			p, err := New(Spec{Path: good, SHA256: sumOf(good)})
			if err != nil {
				t.Fatal(err)
			}
			p.Destroy()
		},
		"mismatch": func() {
			if _, err := New(Spec{Path: good, SHA256: make([]byte, 32)}); err == nil {
				t.Error("another program than the pinned one is accepted")
			}
		},
		"no interpreter":         func() { fail(Spec{Path: noInterpreter}, nothing) },
		"no interpreter, pinned": func() { fail(Spec{Path: noInterpreter, SHA256: sumOf(noInterpreter)}, nothing) },
		"no program":             func() { fail(Spec{Path: noProgram}, nothing) },
		"removed": func() {
			path := script(t, evil)
			fail(Spec{Path: path}, func() { os.Remove(path) })
		},
		"directory removed": func() {
			dir := filepath.Join(t.TempDir(), "gone")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			fail(Spec{Path: good, Dir: dir}, func() { os.Remove(dir) })
		},
	}
}

func TestLeaks(t *testing.T) {
	all := cycles(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, cycle := range all { // opens what is opened only once
		cycle()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes unreachable files
	files, routines := descriptors(t), runtime.NumGoroutine()
	for range 50 {
		for _, cycle := range all {
			cycle()
		}
	}
	eventually(t, func() (string, bool) {
		f, r := descriptors(t), runtime.NumGoroutine()
		return fmt.Sprintf("%d descriptors, %d before; %d goroutines, %d before", f, files, r, routines), f <= files && r <= routines
	})
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInheritedDescriptors holds that a child inherits only its three standard files and its pinned
// program, also when others are started at the same time. Descriptors that the test binary
// inherited do not count.
func TestInheritedDescriptors(t *testing.T) {
	plain := exec.Command(self(t), "child", "descriptors")
	out, err := plain.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{"0": true, "1": true, "2": true, "3": true}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(line, " ")
		allowed[name] = true
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
				if name, _, _ := strings.Cut(line, " "); !allowed[name] {
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
		t.Errorf("messages of %s bytes, want 3 2", got)
	}
}

// TestChildThatDoesNotEnd uses a traced child: only its tracer can reap it, so that for the host it
// is like a child that the kernel cannot end.
func TestChildThatDoesNotEnd(t *testing.T) {
	p, r, _ := startRole(t, "traced")
	line := firstLine(t, r)
	tracer, err := strconv.Atoi(line)
	if err != nil {
		t.Skipf("SKIPPED, no process may trace another here: %s", line)
	}
	defer syscall.Kill(tracer, syscall.SIGKILL)
	p.Destroy()
	if got := p.State(); got != "killed, but does not end" {
		t.Errorf("state %q", got)
	}
	if isClosed(p.Exited()) {
		t.Error("exited")
	}
	if err := r.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "a debugger holds it") {
		t.Errorf("Wait: %v", err)
	}
	if err := r.Kill(t.Context()); err == nil {
		t.Error("Kill reports that it has ended")
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

func TestHostKilled(t *testing.T) {
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
	awaitEnd(t, pid)
	if left, _ := os.ReadDir(temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
