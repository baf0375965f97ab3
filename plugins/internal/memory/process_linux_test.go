package memory

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// The tests of this file run their own binary again, as a plugin or as a host.
const role = "CRAM_MEMORY_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "plugin":
		err = runPlugin()
	case "attacker":
		err = runAttacker()
	case "host":
		err = runHost()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A request is a call to a plugin process, an answer what it says.
type request struct{ In, Out *protocol.Span }

type answer struct {
	Error   string
	Attacks map[string]string // by what was tried: the error that it met
}

// process is a child whose standard input is the socket, with requests on descriptor 3 and answers on its standard output.
type process struct {
	cmd      *exec.Cmd
	requests *json.Encoder
	answers  *json.Decoder
}

func start(t *testing.T, as string) (*process, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	host := connOf(t, os.NewFile(uintptr(fds[0]), "host"))
	stdin := os.NewFile(uintptr(fds[1]), "plugin")
	defer stdin.Close()
	in, requests, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stdin, cmd.Stderr, cmd.ExtraFiles = stdin, os.Stderr, []*os.File{in}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		host.Close()
		requests.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{cmd, json.NewEncoder(requests), json.NewDecoder(answers)}, host
}

func (p *process) call(q request) (answer, error) {
	var a answer
	if err := p.requests.Encode(q); err != nil {
		return a, err
	}
	return a, p.answers.Decode(&a)
}

// serve answers requests until the host closes their pipe.
func serve(f func(request) answer) error {
	requests, answers := json.NewDecoder(os.NewFile(3, "requests")), json.NewEncoder(os.Stdout)
	for {
		var q request
		if err := requests.Decode(&q); err != nil {
			return err
		}
		if err := answers.Encode(f(q)); err != nil {
			return err
		}
	}
}

func stdin() (*net.UnixConn, error) {
	c, err := net.FileConn(os.Stdin)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// runPlugin writes the complement of what it gets, and tries to change that.
func runPlugin() error {
	socket, err := stdin()
	if err != nil {
		return err
	}
	var r *Regions
	r = FromSocket(socket, func() {
		fmt.Printf("\"gone: %v\"\n", r.Err())
		os.Exit(0)
	})
	return serve(func(q request) answer {
		defer r.Enter()()
		x, err := r.In(context.Background(), q.In)
		if err != nil {
			return answer{Error: err.Error()}
		}
		y, err := r.Out(context.Background(), q.Out)
		if err != nil {
			return answer{Error: err.Error()}
		}
		a := answer{Attacks: map[string]string{}}
		for i := range x {
			y[i] = ^x[i]
		}
		addr, err := write(x, len(x)-1)
		region, offset, ok := r.Locate(addr)
		if err == nil || !ok || region != q.In.Region || offset != int(q.In.Offset)+len(x)-1 {
			a.Error = fmt.Sprintf("a write to the input: %v, located in region %d at %d, %v", err, region, offset, ok)
		}
		return a
	})
}

func TestProcess(t *testing.T) {
	p, socket := start(t, "plugin")
	h := Shared(socket)
	defer h.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{1000, 1 << 20, 1<<20 + 1, 5, 9 << 20, 20 << 20, 64} {
		var in, out Layout
		in.Add(3)
		x, y := in.Add(n), out.Add(n)
		l, err := h.Lease(within(t), in, out)
		if err != nil {
			t.Fatal(err)
		}
		data := noise(rng, n)
		copy(l.In(x), data)
		a, err := p.call(request{l.InSpan(x), l.OutSpan(y)})
		if err != nil || a.Error != "" {
			t.Fatalf("%d bytes: %v %s", n, err, a.Error)
		}
		for i, b := range l.Out(y) {
			if b != ^data[i] || l.In(x)[i] != data[i] {
				t.Fatalf("%d bytes: at %d sent %#x, have %#x, got %#x", n, i, data[i], l.In(x)[i], b)
			}
		}
		l.Release()
	}
	if want := uint32(4 * 2); h.last != want { // 1, 2, 16 and 32 MiB, in both directions
		t.Errorf("%d regions were made, want %d", h.last, want)
	}
	if a, err := p.call(request{&protocol.Span{Region: h.last - 3, Bytes: 1}, &protocol.Span{}}); err != nil || a.Error == "" {
		t.Errorf("a region that was replaced is still there: %v %v", a, err)
	}
}

// runAttacker keeps the descriptors that it gets and tries everything on the first.
func runAttacker() error {
	socket, err := stdin()
	if err != nil {
		return err
	}
	return serve(func(request) answer {
		buf, rights := make([]byte, messageSize), make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := socket.ReadMsgUnix(buf, rights)
		if err != nil {
			return answer{Error: err.Error()}
		}
		fds, err := descriptors(rights[:n])
		if err != nil || len(fds) != 1 {
			return answer{Error: fmt.Sprint(fds, err)}
		}
		return answer{Attacks: attack(fds[0])}
	})
}

func attack(fd int) map[string]string {
	tried := map[string]string{}
	try := func(what string, f func() error) {
		tried[what] = ""
		if err := f(); err != nil {
			tried[what] = err.Error()
		}
	}
	mapped := func(fd, prot int) error {
		b, err := unix.Mmap(fd, 0, 1<<20, prot, unix.MAP_SHARED)
		if err == nil {
			b[0] = 0xEE
		}
		return err
	}
	try("map", func() error { return mapped(fd, unix.PROT_READ|unix.PROT_WRITE) })
	try("map write-only", func() error { return mapped(fd, unix.PROT_WRITE) })
	try("mprotect", func() error {
		b, err := unix.Mmap(fd, 0, 1<<20, unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return nil // it must be readable
		}
		if err := unix.Mprotect(b, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return err
		}
		b[0] = 0xEE
		return nil
	})
	try("reopen", func() error {
		again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := mapped(again, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return err
		}
		_, err = unix.Pwrite(again, []byte{0xEE}, 0)
		return err
	})
	try("write", func() error { _, err := unix.Write(fd, []byte{0xEE}); return err })
	try("pwrite", func() error { _, err := unix.Pwrite(fd, []byte{0xEE}, 0); return err })
	try("punch a hole", func() error { return unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096) })
	try("shrink", func() error { return unix.Ftruncate(fd, 0) })
	try("grow", func() error { return unix.Ftruncate(fd, 1<<30) })
	try("seal", func() error {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
		return err
	})
	return tried
}

func TestAttacker(t *testing.T) {
	p, socket := start(t, "attacker")
	h := Shared(socket)
	defer h.Close()
	l := lease(t, h, 1<<20, 1<<20)
	defer l.Release()
	x := l.In(Place{0, 1 << 20})
	for i := range x {
		x[i] = 0x55
	}
	toward, err := p.call(request{})
	if err != nil || toward.Error != "" || len(toward.Attacks) != 10 {
		t.Fatal(toward, err)
	}
	for what, met := range toward.Attacks {
		if met == "" {
			t.Errorf("toward the plugin: %s succeeds", what)
		}
	}
	for i, b := range x {
		if b != 0x55 {
			t.Fatalf("byte %d of the input was changed to %#x", i, b)
		}
	}
	x[0] = 1 // the host still writes
	back, err := p.call(request{})
	if err != nil || back.Error != "" {
		t.Fatal(back, err)
	}
	for what, fails := range map[string]bool{"map": false, "shrink": true, "grow": true, "seal": true} {
		if met := back.Attacks[what]; (met != "") != fails {
			t.Errorf("toward the host: %s: %q", what, met)
		}
	}
	y := l.Out(Place{0, 1 << 20}) // all of it can be read whatever was done to it
	for i := 0; i < len(y); i += 4096 {
		_ = y[i]
	}
}

// runHost starts a plugin, makes regions for it, and waits to be killed.
func runHost() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c, err := net.FileConn(os.NewFile(uintptr(fds[0]), "host"))
	if err != nil {
		return err
	}
	unix.Close(fds[0])
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=plugin")
	// The requests come from the test itself: they do not end with this host.
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.NewFile(uintptr(fds[1]), "plugin"), os.Stdout, os.Stderr, []*os.File{os.NewFile(3, "requests")}
	if err := cmd.Start(); err != nil {
		return err
	}
	unix.Close(fds[1])
	var l Layout
	p := l.Add(100)
	if _, err := Shared(c.(*net.UnixConn)).Lease(context.Background(), l, l); err != nil {
		return err
	}
	fmt.Printf("%q\n", fmt.Sprint("ready ", p))
	select {}
}

func TestHostKilled(t *testing.T) {
	in, requests, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer requests.Close()
	out, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), role+"=host")
	host.Stdout, host.Stderr, host.ExtraFiles = stdout, os.Stderr, []*os.File{in}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	in.Close()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "\"ready {0 100}\"\n" {
		t.Fatalf("the host says %q, %v", line, err)
	}
	if err := json.NewEncoder(requests).Encode(request{&protocol.Span{Region: 1, Bytes: 100}, &protocol.Span{Region: 2, Bytes: 100}}); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); line != "{\"Error\":\"\",\"Attacks\":{}}\n" {
		t.Fatalf("the plugin answers %q, %v", line, err)
	}
	host.Process.Kill()
	host.Wait()
	if line, err := lines.ReadString('\n'); line != "\"gone: EOF\"\n" {
		t.Fatalf("the plugin, its host killed, says %q, %v", line, err)
	}
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil { // the end comes when the plugin has ended
		t.Fatalf("the plugin then says %q, %v", rest, err)
	}
}
