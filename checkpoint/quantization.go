package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
)

// encodeQuantizations returns the content of the blob of these quantizations, empty for none: a map
// from names to [axis, scales, zeros]. They are checked.
func encodeQuantizations(all map[string]array.Quantization) []byte {
	if len(all) == 0 {
		return nil
	}
	w := pack.NewWriter()
	w.Map(len(all))
	for _, name := range sortedKeys(all) {
		q := all[name]
		var scales, zeros []byte
		for i, s := range q.Scale {
			scales = binary.LittleEndian.AppendUint32(scales, math.Float32bits(s))
			zeros = append(zeros, byte(int8(q.Zero[i])))
		}
		w.String(name)
		w.Array(3)
		w.Int(int64(q.Axis))
		w.Bin(scales)
		w.Bin(zeros)
	}
	return w.Bytes()
}

// quantizations reads and decodes the blob b. check returns an error when a name or its
// quantization is wrong.
func (c *Reader) quantizations(b blob, check func(name string, q array.Quantization) error) (map[string]array.Quantization, error) {
	if len(b) == 0 {
		return nil, nil
	}
	content := make([]byte, b.len())
	if err := c.read(b, content); err != nil {
		return nil, err
	}
	all, err := decodeQuantizations(content, check)
	if where := new(pack.Error); errors.As(err, &where) {
		return nil, damaged(c.at(b)+int64(where.Offset), "quantization: %s", where.Problem)
	}
	return all, err
}

func decodeQuantizations(content []byte, check func(name string, q array.Quantization) error) (map[string]array.Quantization, error) {
	r := pack.NewReader(content)
	n := r.Map()
	if n > maxLines || r.Err() == nil && n == 0 {
		r.Fail("want 1 to %d entries, got %d", maxLines, n)
		n = 0
	}
	all := make(map[string]array.Quantization, n)
	last := ""
	for range n {
		name := r.Name()
		if name <= last {
			r.Fail("name %q after %q: want them sorted and different", name, last)
		}
		last = name
		r.ArrayOf(3)
		q := array.Quantization{Axis: int(r.IntIn(-1, maxRank-1))}
		scales, zeros := r.Bin(), r.Bin()
		if len(scales) != 4*len(zeros) {
			r.Fail("%q: %d bytes of scales and %d zeros, want 4 bytes for each", name, len(scales), len(zeros))
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		q.Scale, q.Zero = make([]float32, len(zeros)), make([]int32, len(zeros))
		for i, z := range zeros {
			q.Scale[i], q.Zero[i] = math.Float32frombits(binary.LittleEndian.Uint32(scales[4*i:])), int32(int8(z))
		}
		if err := check(name, q); err != nil {
			r.Fail("%q: %v", name, err)
		}
		all[name] = q
	}
	return all, r.End()
}

// quantized reads the blob of the quantizations of values and sets them. owner names the values in
// errors.
func (c *Reader) quantized(values map[string]array.Value, b blob, owner string) error {
	all, err := c.quantizations(b, func(name string, q array.Quantization) error {
		v, ok := values[name]
		if !ok || v.DType != array.I8 {
			return fmt.Errorf("%s has no i8 tensor of this name", owner)
		}
		v.Quantization = &q
		return v.Check()
	})
	if err != nil {
		return err
	}
	for name, q := range all {
		v := values[name]
		v.Quantization = &q
		values[name] = v
	}
	return nil
}

// checkActivation returns an error unless q can be the quantization of an activation, whose
// dimensions are not known here.
func checkActivation(_ string, q array.Quantization) error {
	if q.Axis >= maxRank {
		return fmt.Errorf("want an axis of -1 to %d, got %d", maxRank-1, q.Axis)
	}
	if len(q.Scale) == 0 {
		return errors.New("want 1 or more scales, got 0")
	}
	if q.Axis < 0 {
		return q.Check(nil)
	}
	dims := make([]int, q.Axis+1)
	dims[q.Axis] = len(q.Scale)
	return q.Check(dims)
}

// quantizationOf returns the quantizations of the values that have one.
func quantizationOf(values map[string]array.Value) map[string]array.Quantization {
	all := map[string]array.Quantization{}
	for name, v := range values {
		if v.Quantization != nil {
			all[name] = *v.Quantization
		}
	}
	return all
}
