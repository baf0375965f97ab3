package array

import "fmt"

// A DType is the type of a tensor's elements.
type DType uint8

// The element types. Programs compute in F32; F64 is for tests and references. F16 and BF16 are
// types of storage, and so is I8. Bit is for masks: eight elements in a byte, least significant bit
// first.
const (
	InvalidDType DType = iota
	F32
	F64
	F16
	BF16
	I8
	I32
	I64
	Bit
	numDTypes
)

var dtypes = [numDTypes]struct {
	name string
	bits int
}{
	InvalidDType: {"invalid", 0},
	F32:          {"f32", 32},
	F64:          {"f64", 64},
	F16:          {"f16", 16},
	BF16:         {"bf16", 16},
	I8:           {"i8", 8},
	I32:          {"i32", 32},
	I64:          {"i64", 64},
	Bit:          {"bit", 1},
}

// String returns the name that texts and files use: "f32", "i64", "bit".
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType is the inverse of [DType.String].
func ParseDType(s string) (DType, error) {
	for d := F32; d < numDTypes; d++ {
		if dtypes[d].name == s {
			return d, nil
		}
	}
	return InvalidDType, fmt.Errorf("array: unknown dtype %q", s)
}

// Valid reports whether d is one of the element types.
func (d DType) Valid() bool { return d > InvalidDType && d < numDTypes }

// Float reports whether d is a floating-point type.
func (d DType) Float() bool { return d >= F32 && d <= BF16 }

// Bytes returns the number of bytes that n elements take: n·size, or ⌈n/8⌉ for Bit.
func (d DType) Bytes(n int) int {
	if d >= numDTypes {
		return 0
	}
	return (n*dtypes[d].bits + 7) / 8
}
