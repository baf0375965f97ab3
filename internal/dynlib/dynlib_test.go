package dynlib_test

import (
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/compressaware/cram/internal/dynlib"
)

// libm returns the mathematical part of the C library.
func libm(t *testing.T) *dynlib.Library {
	t.Helper()
	l, err := dynlib.Open("libm.so.6", "libSystem.B.dylib")
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil && runtime.GOOS == "linux" && !strings.Contains(err.Error(), "libm.so.6") {
		t.Fatalf("error %v, want one with each name", err)
	}
	if err != nil {
		t.Skipf("SKIPPED: this system has no such library: %v", err)
	}
	return l
}

// TestBind holds that functions of float64 and float32 are called with their values.
func TestBind(t *testing.T) {
	l := libm(t)
	var cos func(float64) float64
	if err := l.Bind("cos", &cos); err != nil {
		t.Fatal(err)
	}
	if got := cos(1); math.Abs(got-math.Cos(1)) > 1e-15 {
		t.Errorf("cos(1) = %v in %s, want %v", got, l.Name(), math.Cos(1))
	}
	var cosf func(float32) float32
	if err := l.Bind("cosf", &cosf); err != nil || math.Abs(float64(cosf(1))-math.Cos(1)) > 1e-7 {
		t.Errorf("cosf: %v", err)
	}
}

// TestMistakes holds that missing libraries and functions, and types that cannot be called, are
// errors that name them.
func TestMistakes(t *testing.T) {
	if _, err := dynlib.Open(); err == nil || !strings.Contains(err.Error(), "got none") {
		t.Errorf("no name: %v", err)
	}
	l := libm(t)
	_, err := dynlib.Open("libmissing.so.1", "/no/such/dir/libmissing.so")
	if err == nil || !strings.Contains(err.Error(), "libmissing.so.1: ") || !strings.Contains(err.Error(), "/no/such/dir/libmissing.so: ") {
		t.Errorf("missing libraries: %v, want both attempts", err)
	}
	var f func(float64) float64
	if err := l.Bind("no_such_function", &f); err == nil || !strings.Contains(err.Error(), "no_such_function") {
		t.Errorf("a missing function: %v", err)
	}
	for name, bad := range map[string]any{"no pointer": f, "pointer to a number": new(int), "a channel": new(func(chan int))} {
		if err := l.Bind("cos", bad); err == nil || !strings.Contains(err.Error(), "dynlib: ") {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}
