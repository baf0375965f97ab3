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
		{"avx512", AVX2, 0, "want at most avx2 with this processor and build, got avx512"},
		{"avx2", Portable, 0, "want at most portable"},
		{"AVX2", AVX512, 0, `unknown instruction set "AVX2"`},
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
	if isa, err := Detect(); err != nil || isa != Portable {
		t.Errorf("Detect with %s=portable: %v, %v", Override, isa, err)
	}
	t.Setenv(Override, "neon")
	if _, err := Detect(); err == nil || !strings.Contains(err.Error(), Override) {
		t.Errorf("Detect with %s=neon: error %v; want one that names the variable", Override, err)
	}
}

func TestInstructionSetNamesRoundTrip(t *testing.T) {
	for isa := Portable; isa <= AVX512; isa++ {
		if got, err := ParseInstructionSet(isa.String()); err != nil || got != isa {
			t.Errorf("ParseInstructionSet(%q) = %v, %v", isa, got, err)
		}
	}
}

// instructionSets returns the instruction sets that this machine supports, Portable first.
func instructionSets() []InstructionSet {
	var sets []InstructionSet
	for isa := Portable; isa <= Supported(); isa++ {
		sets = append(sets, isa)
	}
	return sets
}
