package process

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

// wait waits for the child's end, calls ended, and reaps. Before it is reaped its number is its group's and nobody else's, and ended may kill that group.
func wait(cmd *exec.Cmd, ended func()) error {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err != nil { // the host ignores SIGCHLD, say; then the kernel has reaped it
		defer ended()
		return cmd.Wait()
	}
	ended()
	return cmd.Wait()
}
