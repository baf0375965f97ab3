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

// The tests' children are the test binary itself, with "child" and a role as arguments.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		play(os.Args[2])
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CRAM_TEST_COOKIE", MagicCookieValue: "cookie"}

// plugins has one plugin without services: go-plugin's own health and control are enough here.
var plugins = plugin.PluginSet{"none": none{}}

type none struct{ plugin.NetRPCUnsupportedPlugin }

func (none) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (none) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

func play(role string) {
	switch role {
	case "exit":
		os.Exit(3)
	case "panic":
		panic("boom")
	case "plugin":
		plugin.Serve(&plugin.ServeConfig{HandshakeConfig: handshake, Plugins: plugins, GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger()})
	case "one long line":
		flood(os.Stdout, "x")
	case "chatter":
		fmt.Println("hello")
		flood(os.Stdout, "x")
		fmt.Println()
		fmt.Println("the end of stdout")
	case "flood stderr":
		flood(os.Stderr, "a line of thirty-two bytes, all\n")
		fmt.Fprintln(os.Stderr, "the end of stderr")
	case "eof": // what a plugin does
		fmt.Println(os.Getpid())
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(7)
	case "messages":
		b := make([]byte, 100)
		n, _ := os.Stdin.Read(b)
		m, _ := os.Stdin.Read(b)
		fmt.Println(n, m)
	case "sleeper":
		forever()
	case "deaf":
		os.Stdin.Close()
		fmt.Println("deaf")
		forever()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		fmt.Println("stubborn")
		forever()
	case "stopped":
		fmt.Println("stopped")
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		forever()
	case "parent that exits", "parent that stays":
		fmt.Println(grandchild(&syscall.SysProcAttr{}))
		if role == "parent that stays" {
			forever()
		}
	case "parent of a stray": // which has a session of its own and holds the pipes
		fmt.Println(grandchild(&syscall.SysProcAttr{Setsid: true}))
	case "environment":
		for _, e := range os.Environ() {
			fmt.Fprintf(os.Stderr, "%q\n", e)
		}
	case "host":
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
	default:
		playLinux(role)
	}
}

func forever() { time.Sleep(1000 * time.Hour) } // an empty select would be a deadlock

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
