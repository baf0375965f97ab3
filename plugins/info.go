package plugins

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/compress"
)

// Info is the description of a plugin, as the plugin sends it.
type Info struct {
	Name, Version string
	Protocol      int             // version of the protocol in use
	SharedMemory  bool            // tensors cross in shared memory; false: in streams
	Compressor    *CompressorInfo // nil: the plugin is not a compressor
	Backend       *BackendInfo    // nil: the plugin is not a backend
}

// CompressorInfo is the description of a plugin's compressor.
type CompressorInfo struct {
	Name          string           // text name, as in the levels of a checkpoint
	Deterministic bool             // equal weights give equal results, bit for bit
	Values        bool             // results can have new values; false: only masks
	Pattern       compress.Pattern // all masks keep N of each M; zero: no such promise
	InputMoments  bool             // it uses [compress.Weight.InputMoments] when they are present
}

// BackendInfo is the description of a plugin's backend.
type BackendInfo struct {
	Name, InstructionSet string
	Deterministic        bool
	Threads              int
	Ops                  []string // names of the ops that it computes; nil: unknown
}

// Describe starts a plugin, asks it for its description, and ends it.
func Describe(ctx context.Context, c Command) (Info, error) {
	p, info, err := launch(ctx, c)
	if err != nil {
		return Info{}, err
	}
	p.close()
	return info, nil
}

// infoOf checks a description.
func infoOf(d *protocol.Description) (Info, error) {
	info := Info{Name: d.GetName(), Version: d.GetVersion(), Protocol: version, SharedMemory: d.GetSharedMemory()}
	if err := cmp.Or(checkText("name of the plugin", info.Name), checkText("version of the plugin", info.Version)); err != nil {
		return Info{}, err
	}
	if c := d.GetCompressor(); c != nil {
		info.Compressor = &CompressorInfo{
			Name: c.GetName(), Deterministic: c.GetDeterministic(), Values: c.GetValues(),
			Pattern: patternOf(c.GetPattern()), InputMoments: c.GetInputMoments(),
		}
		if err := checkText("name of the compressor", c.GetName()); err != nil {
			return Info{}, err
		}
		if c.GetName() == "" || strings.ContainsAny(c.GetName(), " \u00a0") {
			return Info{}, fmt.Errorf("name of the compressor: want a name without white space, got %q", c.GetName())
		}
		if _, err := compress.Parse(c.GetName()); err == nil {
			return Info{}, fmt.Errorf("name of the compressor: want a name of its own, got %s, the name of a built-in compressor", c.GetName())
		}
		if p := info.Compressor.Pattern; p != (compress.Pattern{}) && (p.N < 1 || p.N > p.M || p.Axis != 0) {
			return Info{}, fmt.Errorf("pattern of the compressor: want N:M with 1 ≤ N ≤ M and no axis, got %d:%d, axis %d",
				p.N, p.M, p.Axis)
		}
	}
	if b := d.GetBackend(); b != nil {
		info.Backend = &BackendInfo{
			Name: b.GetName(), InstructionSet: b.GetInstructionSet(), Deterministic: b.GetDeterministic(),
			Threads: int(b.GetThreads()), Ops: b.GetOps(),
		}
		err := cmp.Or(checkText("name of the backend", b.GetName()), checkText("instruction set of the backend", b.GetInstructionSet()),
			checkText("ops of the backend", strings.Join(b.GetOps(), " ")))
		if err != nil {
			return Info{}, err
		}
	}
	return info, nil
}
