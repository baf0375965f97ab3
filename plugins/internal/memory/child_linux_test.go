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

// The tests of this file start the test binary again as a plugin or as a host.
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

// A request is a call to a plugin process.
type request struct{ In, Out *protocol.Span }

// A reply is the result of a request.
type reply struct {
	Error   string
	Attacks map[string]string // error of each attempt
}

// process is a child whose standard input is the socket. It reads requests from descriptor 3 and
// writes replies to its standard output.
type process struct {
	cmd      *exec.Cmd
	requests *json.Encoder
	replies  *json.Decoder
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
	replies, err := cmd.StdoutPipe()
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
	return &process{cmd, json.NewEncoder(requests), json.NewDecoder(replies)}, host
}

func (p *process) call(q request) (reply, error) {
	var a reply
	if err := p.requests.Encode(q); err != nil {
		return a, err
	}
	return a, p.replies.Decode(&a)
}

// serve handles requests until the host closes their pipe.
func serve(f func(request) reply) error {
	requests, replies := json.NewDecoder(os.NewFile(3, "requests")), json.NewEncoder(os.Stdout)
	for {
		var q request
		if err := requests.Decode(&q); err != nil {
			return err
		}
		if err := replies.Encode(f(q)); err != nil {
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

// runPlugin writes the complement of its input to its output, and tries to change its input.
func runPlugin() error {
	socket, err := stdin()
	if err != nil {
		return err
	}
	r := FromSocket(socket, func(err error) {
		fmt.Printf("\"ended: %v\"\n", err)
		os.Exit(0)
	})
	return serve(func(q request) reply {
		defer r.StartCall()()
		x, err := r.In(context.Background(), q.In)
		if err != nil {
			return reply{Error: err.Error()}
		}
		y, err := r.Out(context.Background(), q.Out)
		if err != nil {
			return reply{Error: err.Error()}
		}
		a := reply{Attacks: map[string]string{}}
		for i := range x {
			y[i] = ^x[i]
		}
		addr, err := write(x, len(x)-1)
		region, offset, ok := locate(r, addr)
		if err == nil || !ok || region != q.In.Region || offset != int(q.In.Offset)+len(x)-1 {
			a.Error = fmt.Sprintf("a write to the input: %v, in region %d at %d, %v", err, region, offset, ok)
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
		pair, err := h.Acquire(within(t), in, out)
		if err != nil {
			t.Fatal(err)
		}
		data := noise(rng, n)
		copy(pair.In(x), data)
		a, err := p.call(request{pair.InSpan(x), pair.OutSpan(y)})
		if err != nil || a.Error != "" {
			t.Fatalf("%d bytes: %v %s", n, err, a.Error)
		}
		for i, b := range pair.Out(y) {
			if b != ^data[i] || pair.In(x)[i] != data[i] {
				t.Fatalf("%d bytes: at %d sent %#x, kept %#x, got %#x", n, i, data[i], pair.In(x)[i], b)
			}
		}
		pair.Release()
	}
	if want := uint32(4 * 2); h.last != want { // 1, 2, 16 and 32 MiB, in both directions
		t.Errorf("%d regions were created, want %d", h.last, want)
	}
	if a, err := p.call(request{&protocol.Span{Region: h.last - 3, Bytes: 1}, &protocol.Span{}}); err != nil || a.Error == "" {
		t.Errorf("a region that was replaced still exists: %v %v", a, err)
	}
}

// runAttacker tries to change the region of each descriptor that it receives.
func runAttacker() error {
	socket, err := stdin()
	if err != nil {
		return err
	}
	return serve(func(request) reply {
		buf, rights := make([]byte, messageSize), make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := socket.ReadMsgUnix(buf, rights)
		if err != nil {
			return reply{Error: err.Error()}
		}
		fds, err := descriptors(rights[:n])
		if err != nil || len(fds) != 1 {
			return reply{Error: fmt.Sprint(fds, err)}
		}
		return reply{Attacks: attack(fds[0])}
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
	pair := acquire(t, h, 1<<20, 1<<20)
	defer pair.Release()
	x := pair.In(Span{0, 1 << 20})
	for i := range x {
		x[i] = 0x55
	}
	in, err := p.call(request{})
	if err != nil || in.Error != "" || len(in.Attacks) != 10 {
		t.Fatal(in, err)
	}
	for what, met := range in.Attacks {
		if met == "" {
			t.Errorf("input region: %s succeeds", what)
		}
	}
	for i, b := range x {
		if b != 0x55 {
			t.Fatalf("byte %d of the input was changed to %#x", i, b)
		}
	}
	x[0] = 1 // the host can still write
	out, err := p.call(request{})
	if err != nil || out.Error != "" {
		t.Fatal(out, err)
	}
	for what, fails := range map[string]bool{"map": false, "shrink": true, "grow": true, "seal": true} {
		if met := out.Attacks[what]; (met != "") != fails {
			t.Errorf("output region: %s: %q", what, met)
		}
	}
	y := pair.Out(Span{0, 1 << 20}) // the whole region can be read after the attacks
	for i := 0; i < len(y); i += 4096 {
		_ = y[i]
	}
}

// runHost starts a plugin, creates regions for it, and waits to be killed.
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
	// The test sends the requests, so that their pipe stays open when this host ends.
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.NewFile(uintptr(fds[1]), "plugin"), os.Stdout, os.Stderr, []*os.File{os.NewFile(3, "requests")}
	if err := cmd.Start(); err != nil {
		return err
	}
	unix.Close(fds[1])
	var l Layout
	p := l.Add(100)
	if _, err := Shared(c.(*net.UnixConn)).Acquire(context.Background(), l, l); err != nil {
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
		t.Fatalf("the host wrote %q, %v", line, err)
	}
	if err := json.NewEncoder(requests).Encode(request{&protocol.Span{Region: 1, Bytes: 100}, &protocol.Span{Region: 2, Bytes: 100}}); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); line != "{\"Error\":\"\",\"Attacks\":{}}\n" {
		t.Fatalf("the plugin replied %q, %v", line, err)
	}
	host.Process.Kill()
	host.Wait()
	if line, err := lines.ReadString('\n'); line != "\"ended: EOF\"\n" {
		t.Fatalf("after its host was killed the plugin wrote %q, %v", line, err)
	}
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil { // EOF: the plugin has ended
		t.Fatalf("the plugin then wrote %q, %v", rest, err)
	}
}
