package plugins

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"unsafe"

	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// A compressorServer serves a compressor.
type compressorServer struct {
	protocol.UnimplementedCompressorServer
	*server
}

func (s *compressorServer) Compress(rpc context.Context, q *protocol.CompressRequest) (*protocol.CompressReply, error) {
	c, err := s.startCall(rpc, q.GetCall())
	if err != nil {
		return nil, err
	}
	defer c.end()
	w := make([]compress.Weight, len(q.GetWeights()))
	for i, m := range q.GetWeights() {
		if w[i], err = weightOf(c, m); err != nil {
			return nil, statusError(fmt.Errorf("weight %q: %w", m.GetName(), err))
		}
	}
	results, err := compressChecked(c.ctx, s.plugin.Compressor, w, c.regions == s.streamed)
	if err != nil {
		return nil, statusError(err)
	}
	reply := &protocol.CompressReply{Results: make([]*protocol.Result, len(results))}
	for i, r := range results {
		if i >= len(w) {
			reply.Results[i] = &protocol.Result{} // the host returns the error
			continue
		}
		m := q.GetWeights()[i]
		if err := write(c, m.GetMask(), r.Mask); err != nil {
			return nil, statusError(fmt.Errorf("tensor %s: mask: %w", m.GetName(), err))
		}
		if err := write(c, m.GetValues(), r.Values); err != nil {
			return nil, statusError(fmt.Errorf("tensor %s: values: %w", m.GetName(), err))
		}
		reply.Results[i] = &protocol.Result{
			Mask: !r.Mask.None(), Values: !r.Values.None(), Pattern: patternMessage(r.Pattern), Skipped: r.Skipped,
		}
	}
	return reply, nil
}

func weightOf(c *call, m *protocol.Weight) (w compress.Weight, err error) {
	if w.Data, err = tensorOf(c.rpc, c.regions.In, m.GetData()); err != nil {
		return w, err
	}
	w.Meta = compress.Meta{Name: m.GetName(), Role: graph.Role(m.GetRole()), Dims: w.Data.Dims, First: m.GetFirst(), Last: m.GetLast()}
	if m.GetInputMoments() == nil {
		return w, nil
	}
	if w.InputMoments, err = tensorOf(c.rpc, c.regions.In, m.GetInputMoments()); err != nil {
		return w, fmt.Errorf("input moments: %w", err)
	}
	return w, checkInputMoments(w)
}

// write copies a mask or new values to their span.
func write(c *call, span *protocol.Span, t array.Tensor) error {
	if t.None() {
		return nil
	}
	if span.GetBytes() == 0 {
		return errors.New("the host has no span for it: only kernels and embeddings can have masks, and Plugin.Values declares values")
	}
	data, err := c.regions.Out(c.rpc, span)
	if err != nil {
		return err
	}
	if len(t.Data) != len(data) {
		return fmt.Errorf("want %d bytes, got %v%v with %d bytes", len(data), t.DType, t.Dims, len(t.Data))
	}
	copy(data, t.Data)
	return nil
}

// compressChecked calls a compressor. A panic and a change of the input are errors. Shared input is
// read-only memory: a write is a fault, and its address gives the weight. Copied input is compared
// by checksums.
func compressChecked(ctx context.Context, c compress.Compressor, w []compress.Weight, copied bool) (out []compress.Compressed, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }:
			err = fmt.Errorf("compressor %v wrote to %s, which is read-only", c, tensorAt(w, r.Addr()))
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
			return nil, fmt.Errorf("compressor %v wrote to tensor %s, which is read-only", c, w[i].Name)
		}
	}
	return out, nil
}

// tensorAt returns the name of the tensor that an address is in.
func tensorAt(w []compress.Weight, addr uintptr) string {
	for _, x := range w {
		for _, t := range []array.Tensor{x.Data, x.InputMoments} {
			// Safe: the address is compared and not used as a pointer.
			start := uintptr(unsafe.Pointer(unsafe.SliceData(t.Data)))
			if addr >= start && addr-start < uintptr(len(t.Data)) {
				return "tensor " + x.Name
			}
		}
	}
	return fmt.Sprintf("memory at %#x", addr)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksums returns the checksum of each weight and its input moments.
func checksums(w []compress.Weight) []uint32 {
	sums := make([]uint32, len(w))
	for i, x := range w {
		sums[i] = crc32.Update(crc32.Checksum(x.Data.Data, castagnoli), castagnoli, x.InputMoments.Data)
	}
	return sums
}
