package plugins

import (
	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
)

// A payload has the tensors of one call. All spans are added before the regions are acquired.
type payload struct {
	in, out memory.Layout
	fill    []func(*memory.Pair)
}

// input adds bytes that the plugin reads. The span that it returns, part of a request, is set by
// the functions of fill.
func (p *payload) input(data []byte) *protocol.Span {
	s, span := p.in.Add(len(data)), &protocol.Span{}
	p.fill = append(p.fill, func(pair *memory.Pair) {
		copy(pair.In(s), data)
		setSpan(span, pair.InSpan(s))
	})
	return span
}

// output adds bytes that the plugin writes.
func (p *payload) output(bytes int) (memory.Span, *protocol.Span) {
	s, span := p.out.Add(bytes), &protocol.Span{}
	p.fill = append(p.fill, func(pair *memory.Pair) { setSpan(span, pair.OutSpan(s)) })
	return s, span
}

func setSpan(to, from *protocol.Span) {
	to.Region, to.Offset, to.Bytes = from.GetRegion(), from.GetOffset(), from.GetBytes()
}

// tensor adds a tensor that the plugin reads.
func (p *payload) tensor(t array.Tensor) *protocol.Tensor {
	return &protocol.Tensor{Dtype: protocol.DType(t.DType), Dims: dimsMessage(t.Dims), Data: p.input(t.Data)}
}

// value adds a value that the plugin reads.
func (p *payload) value(v array.Value) *protocol.Value {
	return &protocol.Value{
		Encoding: protocol.Encoding(v.Encoding), Dtype: protocol.DType(v.DType), Dims: dimsMessage(v.Dims),
		Values: p.input(v.Values), Index: p.input(v.Index), N: int64(v.N), M: int64(v.M), Axis: int64(v.Axis),
		Quantization: quantizationMessage(v.Quantization),
	}
}
