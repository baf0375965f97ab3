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

// lifeline makes files of a pair of sockets that close on exec.
func lifeline(ends [2]int) (io.Closer, *os.File, error) {
	host, child := os.NewFile(uintptr(ends[0]), "lifeline"), os.NewFile(uintptr(ends[1]), "standard input")
	conn, err := net.FileConn(host) // its own duplicate
	_ = host.Close()
	if err != nil {
		_ = child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// group is a process group, by the number of the process that leads it.
type group int

// lead makes the child the leader of a group of its own.
func lead(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func newGroup(leader *os.Process) group { return group(leader.Pid) }

func (g group) kill() { _ = syscall.Kill(-int(g), syscall.SIGKILL) } // no such group: all have ended

func (g group) close() {}
