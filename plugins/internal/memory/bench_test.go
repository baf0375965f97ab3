package memory

import (
	"fmt"
	"testing"
)

// BenchmarkCall brings 64 MiB of weights to the plugin and 2 MiB, their mask, back, as one call of a compressor does.
// "copy" is what it costs to copy them alone.
func BenchmarkCall(b *testing.B) {
	const weights, mask = 64 << 20, 2 << 20
	data, back := make([]byte, weights), make([]byte, mask)
	for i := range data {
		data[i] = byte(i)
	}
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(weights)
		room, result := aligned(weights), aligned(mask)
		for b.Loop() {
			copy(room, data)
			copy(back, result)
		}
	})
	for name, connect := range ways {
		b.Run(name, func(b *testing.B) {
			h, _ := connect(b)
			b.SetBytes(weights)
			b.ReportAllocs()
			for b.Loop() {
				var in, out Layout
				x, y := in.Add(weights), out.Add(mask)
				if err := roundTrip(b, h, in, out, func(l *Lease) { copy(l.In(x), data) }, func(l *Lease) { copy(back, l.Out(y)) }, y); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLease is what a call costs beyond its content: a lease of nothing, and one of a few bytes.
func BenchmarkLease(b *testing.B) {
	for name, connect := range ways {
		for _, bytes := range []int{0, 4096} {
			b.Run(fmt.Sprintf("%s/%d", name, bytes), func(b *testing.B) {
				h, _ := connect(b)
				b.ReportAllocs()
				for b.Loop() {
					var in, out Layout
					in.Add(bytes)
					y := out.Add(bytes)
					if err := roundTrip(b, h, in, out, func(*Lease) {}, func(*Lease) {}, y); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func roundTrip(b *testing.B, h *Host, in, out Layout, fill, take func(l *Lease), back Place) error {
	ctx := b.Context()
	l, err := h.Lease(ctx, in, out)
	if err != nil {
		return err
	}
	defer l.Release()
	fill(l)
	if err := l.Send(ctx); err != nil {
		return err
	}
	if err := l.Receive(ctx, back); err != nil {
		return err
	}
	take(l)
	return nil
}
