//go:build unix

package checkpoint

import "syscall"

const nonblock = syscall.O_NONBLOCK
