package kernels

import (
	"strings"
	"testing"
)

func TestOverrideOnlyLowers(t *testing.T) {
	for _, tc := range []struct {
		override  string
		supported InstructionSet
		want      InstructionSet
		fault     string
	}{
		{"", AVX512, AVX512, ""},
		{"", Portable, Portable, ""},
		{"avx512", AVX512, AVX512, ""},
		{"avx2", AVX512, AVX2, ""},
		{"portable", AVX2, Portable, ""},
		{"avx512", AVX2, 0, "asks for avx512, but this processor and build offer at most avx2"},
		{"avx2", Portable, 0, "at most portable"},
		{"AVX2", AVX512, 0, `unknown CPU level "AVX2"`},
		{"sse", AVX512, 0, "want portable, avx2 or avx512"},
	} {
		got, err := choose(tc.override, tc.supported)
		switch {
		case tc.fault == "" && (err != nil || got != tc.want):
			t.Errorf("choose(%q, %v) = %v, %v; want %v", tc.override, tc.supported, got, err, tc.want)
		case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)):
			t.Errorf("choose(%q, %v): error %v; want one that says %q", tc.override, tc.supported, err, tc.fault)
		}
	}
}

func TestDetectReadsTheEnvironment(t *testing.T) {
	t.Setenv(Override, "portable")
	if l, err := Detect(); err != nil || l != Portable {
		t.Errorf("Detect with %s=portable: %v, %v", Override, l, err)
	}
	t.Setenv(Override, "neon")
	if _, err := Detect(); err == nil || !strings.Contains(err.Error(), Override) {
		t.Errorf("Detect with %s=neon: error %v; want one that names the variable", Override, err)
	}
}

func TestLevelNamesRoundTrip(t *testing.T) {
	for l := Portable; l <= AVX512; l++ {
		if got, err := ParseInstructionSet(l.String()); err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l, got, err)
		}
	}
}

// levels lists what this machine can run, Portable first.
func levels() []InstructionSet {
	var ls []InstructionSet
	for l := Portable; l <= Supported(); l++ {
		ls = append(ls, l)
	}
	return ls
}

func BenchmarkPeak(b *testing.B) {
	for _, l := range levels() {
		b.Run(l.String(), func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(l.Peak(), "GFLOP/s")
			}
		})
	}
}
