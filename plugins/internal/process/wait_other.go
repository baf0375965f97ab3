//go:build !linux

package process

import "os/exec"

// wait waits until the child has ended, reaps it, and calls ended. In theory another group can get
// the child's number in between, but not while the child's group has members.
func wait(cmd *exec.Cmd, ended func()) error {
	err := cmd.Wait()
	ended()
	return err
}
