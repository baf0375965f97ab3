package process

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

// wait waits until the child has ended, calls ended, and reaps the child. No other group can get
// the child's number before it is reaped, so ended can kill the group.
func wait(cmd *exec.Cmd, ended func()) error {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err != nil { // for example when the host ignores SIGCHLD and the kernel has reaped it
		defer ended()
		return cmd.Wait()
	}
	ended()
	return cmd.Wait()
}
