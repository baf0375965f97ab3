package nn_test

import (
	"testing"

	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
)

// scoped is a layer in the scope "layer".
type scoped struct{ nn.Model }

func (s scoped) Forward(p *nn.Pass, x graph.Node) graph.Node { return p.Apply("layer", s.Model, x) }

// TestPyTorch holds that every layer has the outputs and gradients of PyTorch.
func TestPyTorch(t *testing.T) {
	layers := map[string]nn.Model{
		"conv":                              nn.Conv2D{Out: 4, Kernel: 3},
		"conv stride 2, padding 1, no bias": nn.Conv2D{Out: 4, Kernel: 3, Stride: 2, Padding: 1, NoBias: true},
		"conv groups 2":                     nn.Conv2D{Out: 6, Kernel: 3, Padding: 1, Groups: 2},
		"conv depthwise":                    nn.Conv2D{Out: 4, Kernel: 3, Padding: 1, Groups: 4, NoBias: true},
		"conv 1x1 stride 2":                 nn.Conv2D{Out: 6, Kernel: 1, Stride: 2, NoBias: true},
		"linear":                            nn.Linear{Out: 5},
		"linear no bias":                    nn.Linear{Out: 5, NoBias: true},
		"linear of rank 3":                  nn.Linear{Out: 5},
		"batchnorm":                         nn.BatchNorm{},
		"batchnorm of rank 2":               nn.BatchNorm{},
		"batchnorm eps, momentum":           nn.BatchNorm{Eps: 0.01, Momentum: 0.3},
		"layernorm":                         nn.LayerNorm{},
		"layernorm eps":                     nn.LayerNorm{Eps: 0.01},
		"embedding":                         nn.Embedding{Rows: 9, Dim: 4},
		"maxpool":                           nn.MaxPool{Kernel: 2},
		"maxpool 3, stride 2, padding 1":    nn.MaxPool{Kernel: 3, Stride: 2, Padding: 1},
		"avgpool":                           nn.AvgPool{Kernel: 2},
		"avgpool 3, stride 2, padding 1":    nn.AvgPool{Kernel: 3, Stride: 2, Padding: 1},
		"global avgpool":                    nn.Func(nn.GlobalAvgPool),
		"flatten":                           nn.Func(nn.Flatten),
		"relu":                              nn.Func(nn.ReLU),
		"gelu":                              nn.Func(nn.GELU),
		"sigmoid":                           nn.Func(nn.Sigmoid),
		"tanh":                              nn.Func(nn.Tanh),
		"sequential":                        nn.Sequential{nn.Linear{Out: 4}, nn.Func(nn.Tanh), nn.Linear{Out: 3}},
	}
	cases := golden.Cases(t, "layers")
	if len(cases) != len(layers) {
		t.Errorf("%d golden cases for %d layers", len(cases), len(layers))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m, ok := layers[c.Name]
			if !ok {
				t.Fatal("no layer for this case")
			}
			golden.Check(t, scoped{m}, c)
		})
	}
}
