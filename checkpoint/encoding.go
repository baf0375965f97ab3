package checkpoint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/compressaware/cram/sdk/array"
)

// An encoding states how an index and values represent a tensor: an encoding of package array, or
// one of two that extend the parts before them.
type encoding struct {
	kind       kind
	n, m, axis int // of grouped
}

type kind uint8

const (
	dense   kind = iota // as array.Dense
	bitmask             // as array.Bitmask
	index16             // as array.Index16
	grouped             // as array.GroupNM
	rest                // values: the elements that no part before stores, in order
	// index: one bit for each element of the parts before; 0 makes the element zero
	masked
)

func (e encoding) String() string {
	if e.kind == grouped {
		return fmt.Sprintf("nm:%d:%d:%d", e.n, e.m, e.axis)
	}
	return [...]string{"dense", "bitmask", "index16", "", "rest", "mask"}[e.kind]
}

func parseEncoding(s string) (encoding, error) {
	for _, k := range []kind{dense, bitmask, index16, rest, masked} {
		if e := (encoding{kind: k}); e.String() == s {
			return e, nil
		}
	}
	e := encoding{kind: grouped}
	if parts := strings.Split(s, ":"); len(parts) == 4 {
		e.n, _ = strconv.Atoi(parts[1])
		e.m, _ = strconv.Atoi(parts[2])
		e.axis, _ = strconv.Atoi(parts[3])
	}
	if e.String() != s {
		return encoding{}, fmt.Errorf("unknown encoding %.64q", s)
	}
	return e, nil
}

// encodingOf returns the encoding of a checked value.
func encodingOf(v array.Value) encoding {
	switch v.Encoding {
	case array.Bitmask:
		return encoding{kind: bitmask}
	case array.Index16:
		return encoding{kind: index16}
	case array.GroupNM:
		return encoding{kind: grouped, n: v.N, m: v.M, axis: v.Axis}
	}
	return encoding{kind: dense}
}

// value returns the value of t with the given bytes, unchecked. e is neither rest nor masked.
func (e encoding) value(t tensor, index, values []byte) array.Value {
	v := array.Value{DType: t.dtype, Dims: t.dims, Index: index, Values: values}
	switch e.kind {
	case bitmask:
		v.Encoding = array.Bitmask
	case index16:
		v.Encoding = array.Index16
	case grouped:
		v.Encoding, v.N, v.M, v.Axis = array.GroupNM, e.n, e.m, e.axis
	}
	return v
}

// encode encodes x, which must not change afterwards.
func (e encoding) encode(x array.Tensor) (array.Value, error) {
	switch e.kind {
	case bitmask:
		return x.Encode(array.Bitmask)
	case index16:
		return x.Encode(array.Index16)
	case grouped:
		return x.EncodeNM(e.n, e.m, e.axis)
	}
	return x.Encode(array.Dense)
}

// whole reports whether e can represent a tensor without other parts.
func (e encoding) whole() bool { return e.kind != rest && e.kind != masked }

// sparse reports whether a part with encoding e can be in a stack.
func (e encoding) sparse() bool { return e.kind == bitmask || e.kind == index16 }

// follows reports whether a part with encoding e can come after one with encoding before: a stack
// continues with sparse parts and ends with the rest; a mask applies to all elements.
func (e encoding) follows(before encoding) bool {
	if e.kind == masked {
		return before.kind == dense || before.kind == rest
	}
	return before.sparse() && (e.sparse() || e.kind == rest)
}
