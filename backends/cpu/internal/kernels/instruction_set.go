package kernels

import (
	"fmt"
	"os"

	"github.com/klauspost/cpuid/v2"
)

// InstructionSet is an instruction set that kernels are written for. The constants are ordered: a
// processor that has one of them has all smaller ones.
type InstructionSet uint8

const (
	Portable InstructionSet = iota // plain Go, any architecture
	AVX2                           // 256-bit vectors: needs AVX2 and FMA
	AVX512                         // 512-bit vectors: needs AVX-512 F, BW, DQ, VL and FMA
)

// Override is the name of the environment variable that [Detect] reads. It can select a smaller
// instruction set than [Supported], and no larger one.
const Override = "CRAM_CPU"

var instructionSetNames = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

// String returns the name that [ParseInstructionSet] reads: portable, avx2 or avx512.
func (isa InstructionSet) String() string {
	if int(isa) < len(instructionSetNames) {
		return instructionSetNames[isa]
	}
	return fmt.Sprintf("InstructionSet(%d)", uint8(isa))
}

// ParseInstructionSet returns the instruction set with a name. It returns an error for every name
// other than portable, avx2 and avx512.
func ParseInstructionSet(name string) (InstructionSet, error) {
	for isa, s := range instructionSetNames {
		if s == name {
			return InstructionSet(isa), nil
		}
	}
	return Portable, fmt.Errorf("kernels: unknown instruction set %q: want portable, avx2 or avx512", name)
}

// Supported returns the largest instruction set that the processor, the operating system and this
// build offer. It ignores the environment.
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

// Detect returns the instruction set to use: the one that the environment variable CRAM_CPU names,
// or [Supported] if the variable is unset or empty. It returns an error for an unknown name and for
// an instruction set that is not supported.
func Detect() (InstructionSet, error) {
	return choose(os.Getenv(Override), Supported())
}

// choose returns the instruction set that override names, or supported if override is empty.
func choose(override string, supported InstructionSet) (InstructionSet, error) {
	if override == "" {
		return supported, nil
	}
	isa, err := ParseInstructionSet(override)
	if err != nil {
		return Portable, fmt.Errorf("%w (from environment variable %s)", err, Override)
	}
	if isa > supported {
		return Portable, fmt.Errorf(
			"kernels: environment variable %s: want at most %s with this processor and build, got %s: unset it or name another",
			Override, supported, isa)
	}
	return isa, nil
}
