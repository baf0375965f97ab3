package kernels

import (
	"fmt"
	"os"

	"github.com/klauspost/cpuid/v2"
)

// InstructionSet is an instruction set that kernels are written for. Higher levels include the lower ones.
type InstructionSet uint8

const (
	Portable InstructionSet = iota // plain Go, any architecture
	AVX2                           // 256-bit vectors: needs AVX2 and FMA
	AVX512                         // 512-bit vectors: needs AVX-512 F, BW, DQ, VL and FMA
)

// Override is the environment variable that [Detect] reads. It may lower the level, never raise it.
const Override = "CRAM_CPU"

var levelNames = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

// String returns the name that [ParseInstructionSet] reads: portable, avx2 or avx512.
func (l InstructionSet) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// ParseInstructionSet returns the level of that name. Any name other than portable, avx2 and avx512 is an error.
func ParseInstructionSet(name string) (InstructionSet, error) {
	for l, s := range levelNames {
		if s == name {
			return InstructionSet(l), nil
		}
	}
	return Portable, fmt.Errorf("kernels: unknown CPU level %q: want portable, avx2 or avx512", name)
}

// Supported returns the highest level that this processor, operating system and build offer, whatever the environment says.
func Supported() InstructionSet {
	switch {
	case !assembly:
		return Portable
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX2, cpuid.FMA3):
		return AVX512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		return AVX2
	}
	return Portable
}

// Detect returns the level to use: the one named by the environment variable CRAM_CPU, or [Supported] where that is unset or empty.
// An unknown name, and a level above Supported, are errors.
func Detect() (InstructionSet, error) {
	return choose(os.Getenv(Override), Supported())
}

// choose applies the override, if any, to what the machine supports.
func choose(override string, supported InstructionSet) (InstructionSet, error) {
	if override == "" {
		return supported, nil
	}
	l, err := ParseInstructionSet(override)
	if err != nil {
		return Portable, fmt.Errorf("%w (from environment variable %s)", err, Override)
	}
	if l > supported {
		return Portable, fmt.Errorf("kernels: environment variable %s asks for %s, but this processor and build offer at most %s: unset it or name a lower level",
			Override, l, supported)
	}
	return l, nil
}
