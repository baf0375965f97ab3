//go:build unix

package plugins

import "syscall"

// killGroup kills the process group that the host created for the plugin: the plugin and the
// processes that it started.
func killGroup() {
	if syscall.Getpgrp() == syscall.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL)
	}
}
