//go:build unix

package process

import (
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
)

const nonblock = syscall.O_NONBLOCK

// socketFiles returns the two sockets of a pair, which close on exec.
func socketFiles(ends [2]int) (io.Closer, *os.File, error) {
	host, child := os.NewFile(uintptr(ends[0]), "host's end of standard input"), os.NewFile(uintptr(ends[1]), "standard input")
	conn, err := net.FileConn(host) // duplicates the descriptor
	_ = host.Close()
	if err != nil {
		_ = child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// A group is a process group. Its number is that of its leader.
type group int

// setGroup makes the child the leader of a new group.
func setGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func newGroup(leader *os.Process) group { return group(leader.Pid) }

// kill kills the group. An error means that all its processes have ended.
func (g group) kill() { _ = syscall.Kill(-int(g), syscall.SIGKILL) }

func (g group) close() {}
