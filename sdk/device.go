package sdk

import (
	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
)

// A device is a backend, which close closes only if it is owned.
type device struct {
	backends.Backend
	owned bool
}

// openDevice returns b, not owned, or a new CPU backend on all cores if b is nil.
func openDevice(b backends.Backend) (device, error) {
	if b != nil {
		return device{Backend: b}, nil
	}
	own, err := cpu.New(cpu.Options{})
	if err != nil {
		return device{}, err
	}
	return device{own, true}, nil
}

func (d device) close() error {
	if !d.owned {
		return nil
	}
	return d.Backend.Close()
}
