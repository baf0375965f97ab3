package main

import (
	"math"
	"path/filepath"
	"testing"
)

func TestBenchTrain(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu.out")
	r := must(t, "bench", "train", "--model", "small-cnn", "--batch", "4", "--steps", "3", "--skip", "1", "--method", "sgd", "--cpuprofile", profile)[0]
	if per, step := r["images_per_s"].(float64), r["step_s"].(float64); step <= 0 || math.Abs(per*step-4) > 1e-9 {
		t.Errorf("bench train printed %v", r)
	}
	if len(read(t, profile)) == 0 {
		t.Error("the profile is empty")
	}
}
