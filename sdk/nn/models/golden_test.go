package models_test

import (
	"testing"

	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/internal/golden"
	"github.com/compressaware/cram/sdk/nn/models"
)

// TestPyTorch compares small members of every family with PyTorch.
func TestPyTorch(t *testing.T) {
	small := map[string]nn.Model{
		"mlp":                          models.MLP{Hidden: []int{10, 7}, Classes: 5},
		"cnn":                          models.CNN{Widths: []int{4, 6, 6}, Classes: 5},
		"resnet, CIFAR, projection":    models.ResNet{Blocks: []int{1, 2, 1}, Widths: []int{4, 6, 8}, Classes: 5},
		"resnet, CIFAR, padding":       models.ResNet{Blocks: []int{1, 2, 1}, Widths: []int{4, 8, 16}, PadShortcut: true, Classes: 5},
		"resnet, CIFAR, bottleneck":    models.ResNet{Blocks: []int{1, 1}, Widths: []int{2, 4}, Bottleneck: true, Classes: 5},
		"resnet, ImageNet, basic":      models.ResNet{ImageNet: true, Blocks: []int{1, 2}, Widths: []int{4, 6}, Classes: 5},
		"resnet, ImageNet, bottleneck": models.ResNet{ImageNet: true, Blocks: []int{2, 1}, Widths: []int{2, 4}, Bottleneck: true, Classes: 5},
		"vgg, CIFAR":                   models.VGG{Widths: [][]int{{4}, {6, 6}}, Classes: 5},
	}
	cases := golden.Cases(t, "models")
	if len(cases) != len(small) {
		t.Errorf("%d golden cases for %d models", len(cases), len(small))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m, ok := small[c.Name]
			if !ok {
				t.Fatal("no model for this case")
			}
			golden.Check(t, m, c)
		})
	}
}
