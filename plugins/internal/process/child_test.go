//go:build unix

package process

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// TestMain runs the tests, or a role when the arguments are "child" and a role: the children of the
// tests are the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		play(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CRAM_TEST_COOKIE", MagicCookieValue: "cookie"}

// plugins has one plugin without services. Go-plugin serves health and control.
var plugins = plugin.PluginSet{"none": none{}}

type none struct{ plugin.NetRPCUnsupportedPlugin }

func (none) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (none) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// roles are the programs of the children. linuxRoles are more of them.
var roles = map[string]func(){
	"exit":  func() { os.Exit(3) },
	"panic": func() { panic("boom") },
	"plugin": func() {
		plugin.Serve(&plugin.ServeConfig{HandshakeConfig: handshake, Plugins: plugins, GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger()})
	},
	"one long line": func() { flood(os.Stdout, "x") },
	"chatter": func() {
		fmt.Println("hello")
		flood(os.Stdout, "x")
		fmt.Println()
		fmt.Println("the end of stdout")
	},
	"flood stderr": func() {
		flood(os.Stderr, "a line of thirty-two bytes, all\n")
		fmt.Fprintln(os.Stderr, "the end of stderr")
	},
	"eof": func() { // like a plugin
		fmt.Println(os.Getpid())
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(7)
	},
	"messages": func() {
		b := make([]byte, 100)
		n, _ := os.Stdin.Read(b)
		m, _ := os.Stdin.Read(b)
		fmt.Println(n, m)
	},
	"sleeper": forever,
	"deaf": func() {
		os.Stdin.Close()
		fmt.Println("deaf")
		forever()
	},
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Println("stubborn")
		forever()
	},
	"stopped": func() {
		fmt.Println("stopped")
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		forever()
	},
	"parent that exits": func() { fmt.Println(grandchild(&syscall.SysProcAttr{})) },
	"parent that sleeps": func() {
		fmt.Println(grandchild(&syscall.SysProcAttr{}))
		forever()
	},
	// The stray has its own session and keeps the pipes open.
	"parent of a stray": func() { fmt.Println(grandchild(&syscall.SysProcAttr{Setsid: true})) },
	"environment": func() {
		for _, e := range os.Environ() {
			fmt.Fprintf(os.Stderr, "%q\n", e)
		}
	},
	"host": playHost,
}

func play(role string) {
	f, ok := roles[role]
	if !ok {
		f, ok = linuxRoles[role]
	}
	if !ok {
		fmt.Fprintln(os.Stderr, "no role", role)
		os.Exit(99)
	}
	f()
}

// playHost starts a child, prints its number, and waits to be killed.
func playHost() {
	exe, _ := os.Executable()
	p, err := New(Spec{Path: exe, Args: []string{"child", "eof"}, SHA256: sumOf(exe)})
	if err == nil {
		err = p.start(context.Background(), nil)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	pid, _ := bufio.NewReader(p.Runner(nil).Stdout()).ReadString('\n')
	fmt.Print(pid)
	forever()
}

func forever() { time.Sleep(1000 * time.Hour) } // an empty select is a deadlock

// flood writes 10 MiB.
func flood(f *os.File, s string) {
	chunk := bytes.Repeat([]byte(s), 1<<20/len(s))
	for range 10 {
		_, _ = f.Write(chunk)
	}
}

func grandchild(attr *syscall.SysProcAttr) int {
	exe, _ := os.Executable()
	cmd := exec.Command(exe, "child", "sleeper")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return cmd.Process.Pid
}
