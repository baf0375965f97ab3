package plugins

import (
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"
	"slices"
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
	if len(results) != len(w) {
		for i := range reply.Results {
			reply.Results[i] = &protocol.Result{} // the host returns the error
		}
		return reply, nil
	}
	for i, r := range results {
		m := q.GetWeights()[i]
		if cause := fault(r, w[i], m.GetMask() != nil, m.GetValues() != nil); cause != "" {
			return &protocol.CompressReply{InvalidResult: &protocol.InvalidResult{Tensor: m.GetName(), Cause: cause}}, nil
		}
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

// fault returns why the result r for w cannot be written, or "". Only its type and shape are
// checked, because they do not cross; the host checks the rest. Masks and values state what the
// host accepts.
func fault(r compress.Compressed, w compress.Weight, masks, values bool) string {
	if !r.Mask.None() {
		if !masks {
			return noMask(w.Role)
		}
		if cause := shapeFault("mask", r.Mask, array.Bit, w.Dims); cause != "" {
			return cause
		}
	}
	if r.Values.None() {
		return ""
	}
	if !values {
		return "want no new values, got some: set Plugin.Values to declare that the compressor returns them"
	}
	return shapeFault("values", r.Values, w.Data.DType, w.Dims)
}

func noMask(r graph.Role) string {
	return fmt.Sprintf("want no mask for a weight of role %v, got one: only kernels and embeddings can have masks", r)
}

func shapeFault(what string, t array.Tensor, d array.DType, dims []int) string {
	if t.DType != d || !slices.Equal(t.Dims, dims) {
		return fmt.Sprintf("%s: want %v%v, got %v%v", what, d, dims, t.DType, t.Dims)
	}
	if err := t.Check(); err != nil {
		return fmt.Sprintf("%s: %v", what, err)
	}
	return ""
}

// write copies a mask or new values to their span. The span of a fault-free tensor has its size,
// unless the host sent another one.
func write(c *call, span *protocol.Span, t array.Tensor) error {
	if t.None() {
		return nil
	}
	data, err := c.regions.Out(c.rpc, span)
	if err != nil {
		return err
	}
	if len(t.Data) != len(data) {
		return fmt.Errorf("want a span of %d bytes for %v%v, got %d bytes", len(t.Data), t.DType, t.Dims, len(data))
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
