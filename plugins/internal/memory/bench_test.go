package memory

import (
	"fmt"
	"testing"
)

// BenchmarkCall sends 64 MiB of weights to the plugin and receives 2 MiB, their mask, like one call
// of a compressor. "copy" is the time of the copies alone.
func BenchmarkCall(b *testing.B) {
	const weights, mask = 64 << 20, 2 << 20
	data, back := make([]byte, weights), make([]byte, mask)
	for i := range data {
		data[i] = byte(i)
	}
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(weights)
		input, output := aligned(weights), aligned(mask)
		for b.Loop() {
			copy(input, data)
			copy(back, output)
		}
	})
	for name, connect := range transports {
		b.Run(name, func(b *testing.B) {
			h, _ := connect(b)
			b.SetBytes(weights)
			b.ReportAllocs()
			for b.Loop() {
				var in, out Layout
				x, y := in.Add(weights), out.Add(mask)
				if err := roundTrip(b, h, in, out, func(pair *Pair) { copy(pair.In(x), data) }, func(pair *Pair) { copy(back, pair.Out(y)) }, y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAcquire is the overhead of a call: with empty layouts, and with a few bytes.
func BenchmarkAcquire(b *testing.B) {
	for name, connect := range transports {
		for _, bytes := range []int{0, 4096} {
			b.Run(fmt.Sprintf("%s/%d", name, bytes), func(b *testing.B) {
				h, _ := connect(b)
				b.ReportAllocs()
				for b.Loop() {
					var in, out Layout
					in.Add(bytes)
					y := out.Add(bytes)
					if err := roundTrip(b, h, in, out, func(*Pair) {}, func(*Pair) {}, y); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func roundTrip(b *testing.B, h *Host, in, out Layout, fill, take func(pair *Pair), back Span) error {
	ctx := b.Context()
	pair, err := h.Acquire(ctx, in, out)
	if err != nil {
		return err
	}
	defer pair.Release()
	fill(pair)
	if err := pair.Send(ctx); err != nil {
		return err
	}
	if err := pair.Receive(ctx, back); err != nil {
		return err
	}
	take(pair)
	return nil
}
