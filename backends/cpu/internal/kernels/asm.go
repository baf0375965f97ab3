//go:build amd64 && !noasm

package kernels

// assembly reports whether this build contains the assembly kernels.
const assembly = true
