//go:build !linux

package plugins_test

// playHost is a host that is killed; that test needs Linux.
func playHost() { panic("no such role here") }
