package plugins

import (
	"context"
	"errors"
	"fmt"
	"strings"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/compress"
)

// Info is what a plugin says of itself.
type Info struct {
	Name, Version string
	Protocol      int             // version of the protocol that it speaks
	SharedMemory  bool            // tensors cross in shared memory; false: in streams
	Compressor    *CompressorInfo // nil: it is none
	Backend       *BackendInfo    // nil: it is none
}

// CompressorInfo is what a plugin promises of its compressor.
type CompressorInfo struct {
	Name          string           // text name, as levels bear it
	Deterministic bool             // equal weights give equal answers, bit for bit
	Values        bool             // answers may hold new values, not masks alone
	Pattern       compress.Pattern // every mask keeps N of each M; zero: no such promise
}

// BackendInfo is what a plugin says of its backend.
type BackendInfo struct {
	Name, InstructionSet string
	Deterministic        bool
	Threads              int
	Ops                  []string // names of the ops that it computes; nil: it does not tell
}

// Describe launches a plugin, asks it what it is, and closes it.
func Describe(ctx context.Context, c Command) (Info, error) {
	l, info, err := launch(ctx, c)
	if err != nil {
		return Info{}, err
	}
	l.close()
	return info, nil
}

// parse checks a description.
func parse(d *protocol.Description) (Info, error) {
	info := Info{Name: d.GetName(), Version: d.GetVersion(), Protocol: version, SharedMemory: d.GetSharedMemory()}
	checks := []error{words("the plugin's name", info.Name), words("the plugin's version", info.Version)}
	if c := d.GetCompressor(); c != nil {
		info.Compressor = &CompressorInfo{Name: c.GetName(), Deterministic: c.GetDeterministic(), Values: c.GetValues(), Pattern: pattern(c.GetPattern())}
		checks = append(checks, words("the compressor's name", c.GetName()))
		if c.GetName() == "" || strings.ContainsAny(c.GetName(), " \u00a0") {
			checks = append(checks, fmt.Errorf("the compressor's name is %q, want one without white space", c.GetName()))
		}
		if p := info.Compressor.Pattern; p != (compress.Pattern{}) && (p.N < 1 || p.N > p.M || p.Axis != 0) {
			checks = append(checks, fmt.Errorf("it declares the pattern %d:%d (axis %d), which cannot be", p.N, p.M, p.Axis))
		}
	}
	if b := d.GetBackend(); b != nil {
		info.Backend = &BackendInfo{Name: b.GetName(), InstructionSet: b.GetLevel(), Deterministic: b.GetDeterministic(), Threads: int(b.GetThreads()), Ops: b.GetOps()}
		checks = append(checks, words("the backend's name", b.GetName()), words("the backend's level", b.GetLevel()))
		checks = append(checks, words("its list of ops", strings.Join(b.GetOps(), " ")))
	}
	return info, errors.Join(checks...)
}
