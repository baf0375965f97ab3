//go:build unix && !linux

package process

var linuxRoles map[string]func()
