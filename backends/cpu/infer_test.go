package cpu_test

import (
	"fmt"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
)

// inference builds the inference program of a model for images [N 3 size size], and weights that
// can be its constants.
func inference(tb testing.TB, m nn.Model, size int) (*graph.Program, map[string]array.Value) {
	tb.Helper()
	b := graph.NewBuilder()
	b.Output("logits", m.Forward(nn.NewPass(b, nn.Infer), b.Input("x", array.F32, graph.Batch(3, size, size))))
	p, err := b.Program()
	if err != nil {
		tb.Fatal(err)
	}
	values := map[string]array.Value{}
	for k, s := range p.Slots {
		dims, _ := s.Shape.Dims()
		t, err := array.New(array.F32, dims...)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range t.F32() {
			t.F32()[i] = float32((i*31+k*17)%23+1) / 100
		}
		values[s.Name] = array.DenseValue(t)
	}
	return p, values
}

func BenchmarkInfer(b *testing.B) {
	for _, c := range []struct {
		name  string
		model nn.Model
		size  int
		batch int
	}{
		{"resnet20", models.ResNet20(10), 32, 1},
		{"resnet20", models.ResNet20(10), 32, 128},
		{"resnet50", models.ResNet50(1000), 224, 1},
		{"resnet50", models.ResNet50(1000), 224, 16},
	} {
		p, values := inference(b, c.model, c.size)
		b.Run(fmt.Sprintf("%s/batch=%d", c.name, c.batch), func(b *testing.B) {
			s, err := open(b, cpu.Options{Threads: 2}).NewSession(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			exe, err := s.Compile(b.Context(), p, backends.Options{Const: values})
			if err != nil {
				b.Fatal(err)
			}
			x, err := array.New(array.F32, c.batch, 3, c.size, c.size)
			if err != nil {
				b.Fatal(err)
			}
			run := func() {
				if _, err := exe.Run(b.Context(), []array.Tensor{x}, nil); err != nil {
					b.Fatal(err)
				}
			}
			run()
			b.ResetTimer()
			for range b.N {
				run()
			}
			b.ReportMetric(float64(c.batch*b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
