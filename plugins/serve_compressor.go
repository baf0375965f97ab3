package plugins

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"unsafe"

	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

type compressorServer struct {
	protocol.UnimplementedCompressorServer
	*server
}

func (s *compressorServer) Compress(wait context.Context, q *protocol.CompressRequest) (*protocol.CompressReply, error) {
	ctx, regions, end, err := s.begin(q.GetCall())
	if err != nil {
		return nil, err
	}
	defer end()
	w := make([]compress.Weight, len(q.GetWeights()))
	for i, m := range q.GetWeights() {
		if w[i].Data, err = tensor(wait, regions.In, m.GetData()); err != nil {
			return nil, failed(fmt.Errorf("weight %q: %w", m.GetName(), err))
		}
		w[i].Meta = compress.Meta{Name: m.GetName(), Role: graph.Role(m.GetRole()), Dims: w[i].Data.Dims, First: m.GetFirst(), Last: m.GetLast()}
	}
	answers, err := guarded(ctx, s.plugin.Compressor, w, regions == s.streamed)
	if err != nil {
		return nil, failed(err)
	}
	reply := &protocol.CompressReply{Answers: make([]*protocol.Answer, len(answers))}
	for i, a := range answers {
		if i >= len(w) {
			continue // the host says what is wrong
		}
		m := q.GetWeights()[i]
		if err := put(wait, regions, m.GetKeep(), a.Mask); err != nil {
			return nil, failed(fmt.Errorf("tensor %s: mask: %w", m.GetName(), err))
		}
		if err := put(wait, regions, m.GetValues(), a.Values); err != nil {
			return nil, failed(fmt.Errorf("tensor %s: values: %w", m.GetName(), err))
		}
		reply.Answers[i] = &protocol.Answer{Keep: !a.Mask.None(), Values: !a.Values.None(), Pattern: patternMessage(a.Pattern), Skipped: a.Skipped}
	}
	for i := len(w); i < len(answers); i++ {
		reply.Answers[i] = &protocol.Answer{}
	}
	return reply, nil
}

// tensor returns what a message describes, sharing the memory of its region.
func tensor(ctx context.Context, find func(context.Context, *protocol.Span) ([]byte, error), m *protocol.Tensor) (array.Tensor, error) {
	d, err := dtype(m.GetDtype())
	if err != nil {
		return array.Tensor{}, err
	}
	data, err := find(ctx, m.GetData())
	if err != nil {
		return array.Tensor{}, err
	}
	t := array.Tensor{DType: d, Dims: undims(m.GetDims()), Data: data}
	return t, t.Check()
}

// put copies an answer to its room.
func put(ctx context.Context, regions *memory.Regions, room *protocol.Span, t array.Tensor) error {
	if t.None() {
		return nil
	}
	if room.GetBytes() == 0 {
		return fmt.Errorf("there is no room for it: masks are for kernels and embeddings, and values must be declared (Plugin.Values)")
	}
	data, err := regions.Out(ctx, room)
	if err != nil {
		return err
	}
	if len(t.Data) != len(data) {
		return fmt.Errorf("%v%v has %d bytes, want %d", t.DType, t.Dims, len(t.Data), len(data))
	}
	copy(data, t.Data)
	return nil
}

// guarded runs the compressor so that neither a panic of its nor a change of its input goes unnoticed. Shared input cannot be written
// to: an attempt is a fault at an address, which tells the weight. Copied input is compared by its checksum.
func guarded(ctx context.Context, c compress.Compressor, w []compress.Weight, copied bool) (out []compress.Compressed, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("compressor %v wrote to %s, which it must not change", c, owner(w, r.Addr()))
		default:
			fmt.Fprintf(os.Stderr, "panic: %v\n\n%s", r, debug.Stack())
			err = fmt.Errorf("compressor %v panicked: %v", c, r)
		}
	}()
	if !copied {
		return c.Compress(ctx, w)
	}
	sums := checksums(w)
	if out, err = c.Compress(ctx, w); err != nil {
		return nil, err
	}
	for i, sum := range checksums(w) {
		if sum != sums[i] {
			return nil, fmt.Errorf("compressor %v wrote to tensor %s, which it must not change", c, w[i].Name)
		}
	}
	return out, nil
}

// owner names the weight that an address lies in.
func owner(w []compress.Weight, addr uintptr) string {
	for _, x := range w {
		// The address is only compared, never followed.
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(x.Data.Data)))
		if addr >= begin && addr-begin < uintptr(len(x.Data.Data)) {
			return "tensor " + x.Name
		}
	}
	return fmt.Sprintf("memory at %#x", addr)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksums(w []compress.Weight) []uint32 {
	sums := make([]uint32, len(w))
	for i, x := range w {
		sums[i] = crc32.Checksum(x.Data.Data, castagnoli)
	}
	return sums
}
