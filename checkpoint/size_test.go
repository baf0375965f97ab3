package checkpoint

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// resnet20 returns random weights and statistics with the names and shapes of a CIFAR ResNet-20,
// 0.27 M parameters.
func resnet20(t testing.TB) map[string]array.Tensor {
	tensors := map[string]array.Tensor{}
	add := func(name string, dims ...int) {
		tensors[name] = random(t, uint32(len(tensors)), dims...)
	}
	norm := func(name string, c int) {
		for _, part := range []string{"weight", "bias", "running_mean", "running_var"} {
			add(name+"."+part, c)
		}
	}
	add("conv1.weight", 16, 3, 3, 3)
	norm("bn1", 16)
	in := 16
	for stage, c := range []int{16, 32, 64} {
		for block := range 3 {
			name := fmt.Sprintf("layer%d.%d.", stage+1, block)
			add(name+"conv1.weight", c, in, 3, 3)
			norm(name+"bn1", c)
			add(name+"conv2.weight", c, c, 3, 3)
			norm(name+"bn2", c)
			in = c
		}
	}
	add("linear.weight", 10, 64)
	add("linear.bias", 10)
	return tensors
}

// pruned returns the level of the given sparsity: the largest magnitudes of all weights of rank
// two or more are kept.
func pruned(t testing.TB, tensors map[string]array.Tensor, sparsity float64) Level {
	l := Level{Name: fmt.Sprintf("topk:%v", sparsity), Tensors: map[string]array.Value{}}
	var all []float32
	for _, name := range sortedKeys(tensors) {
		if x := tensors[name]; len(x.Dims) > 1 {
			all = append(all, x.F32()...)
		} else {
			l.Tensors[name] = array.DenseValue(x)
		}
	}
	flat, err := array.From(all)
	if err != nil {
		t.Fatal(err)
	}
	kept := decoded(t, topK(t, flat, sparsity)).F32()
	for _, name := range sortedKeys(tensors) {
		x := tensors[name]
		if len(x.Dims) < 2 {
			continue
		}
		y, err := array.From(kept[:x.Len()], x.Dims...)
		if err != nil {
			t.Fatal(err)
		}
		kept = kept[x.Len():]
		if l.Tensors[name], err = y.Smallest(); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// TestSizeOfResNet20 holds that a 90 % level alone takes less than 20 % of the dense file, and a
// file of four levels little more than the dense one.
func TestSizeOfResNet20(t *testing.T) {
	tensors := resnet20(t)
	levels := []Level{pruned(t, tensors, 0), pruned(t, tensors, .5), pruned(t, tensors, .7), pruned(t, tensors, .9)}
	size := func(levels ...Level) float64 {
		return float64(len(write(t, &File{Info: meta(), Levels: levels})))
	}
	dense := size(levels[0])
	for i, most := range []float64{1, .56, .36, .2} {
		got := size(levels[i]) / dense
		t.Logf("%s: %.1f %% of %.0f bytes", levels[i].Name, 100*got, dense)
		if got > most {
			t.Errorf("%s takes %.1f %% of the dense file, want at most %.0f %%", levels[i].Name, 100*got, 100*most)
		}
	}
	if got := size(levels...) / dense; got > 1.15 {
		t.Errorf("all levels together take %.2f times the dense file", got)
	}
}

func BenchmarkWriteElastic(b *testing.B) {
	w := random(b, 1, 1<<22)
	f := &File{}
	for _, p := range []float64{0, .5, .9} {
		f.Levels = append(f.Levels, Level{Name: fmt.Sprint("topk:", p), Tensors: map[string]array.Value{"w": topK(b, w, p)}})
	}
	b.SetBytes(int64(4 * w.Len()))
	for b.Loop() {
		if err := Write(io.Discard, f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadLevel(b *testing.B) {
	w := random(b, 1, 1<<22)
	f := &File{}
	for _, p := range []float64{0, .5, .9} {
		f.Levels = append(f.Levels, Level{Name: fmt.Sprint("topk:", p), Tensors: map[string]array.Value{"w": topK(b, w, p)}})
	}
	data := write(b, f)
	for _, name := range []string{"topk:0", "topk:0.5", "topk:0.9"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(4 * w.Len()))
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Level(name); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
