//go:build !linux

package process

import "os/exec"

// wait waits for the child's end, reaps, and calls ended. In between, its number could in theory be given to another group; a group that still has members
// keeps it.
func wait(cmd *exec.Cmd, ended func()) error {
	err := cmd.Wait()
	ended()
	return err
}
