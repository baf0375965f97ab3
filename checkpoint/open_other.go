//go:build !unix

package checkpoint

const nonblock = 0
