//go:build !linux

package plugins_test

// playHost is not used: the test of a killed host needs Linux.
func playHost() { panic("this role needs Linux") }
