package graph

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/compressaware/cram/internal/pack"
	"github.com/compressaware/cram/sdk/array"
)

// The fields of attribute structs have the types that encodeField and decodeField distinguish, and
// a test refuses any other.
var (
	dtypeType = reflect.TypeFor[array.DType]()
	shapeType = reflect.TypeFor[Shape]()
)

// encodeAttr writes nil, or a map of all fields in the order of the struct. a is the attribute of a
// verified program.
func encodeAttr(w *pack.Writer, a Attr) {
	if a == nil {
		w.Nil()
		return
	}
	v := reflect.ValueOf(a)
	w.Map(v.NumField())
	for i := range v.NumField() {
		w.String(fieldName(v.Type().Field(i)))
		encodeField(w, v.Field(i))
	}
}

func encodeField(w *pack.Writer, f reflect.Value) {
	switch x := f.Interface().(type) {
	case array.DType:
		w.String(x.String())
	case Shape:
		encodeShape(w, x)
	case string:
		w.String(x)
	case bool:
		w.Bool(x)
	case int:
		w.Int(int64(x))
	case float64:
		w.Float64(x)
	default: // []int or an array of int
		w.Array(f.Len())
		for i := range f.Len() {
			w.Int(f.Index(i).Int())
		}
	}
}

// encodeShape writes an array with an entry for each dimension: an integer, or [c, "N*T"].
func encodeShape(w *pack.Writer, s Shape) {
	w.Array(len(s))
	for _, d := range s {
		if !d.Fixed() {
			w.Array(2)
		}
		w.Int(int64(d.C))
		if !d.Fixed() {
			w.String(d.Sym)
		}
	}
}

// decodeAttr takes an attribute of the same type as like.
func decodeAttr(r *pack.Reader, like Attr) Attr {
	if like == nil {
		if !r.IsNil() {
			r.Fail("want nil, the op has no attribute")
		}
		return nil
	}
	v := reflect.New(reflect.TypeOf(like)).Elem()
	if n := r.Map(); r.Err() == nil && n != v.NumField() {
		r.Fail("want the %d fields of %s, got %d", v.NumField(), v.Type().Name(), n)
	}
	for i := range v.NumField() {
		r.Key(fieldName(v.Type().Field(i)))
		decodeField(r, v.Field(i))
	}
	return v.Interface()
}

func decodeField(r *pack.Reader, f reflect.Value) {
	switch {
	case f.Type() == dtypeType:
		f.Set(reflect.ValueOf(decodeDType(r)))
	case f.Type() == shapeType:
		f.Set(reflect.ValueOf(decodeShape(r)))
	case f.Kind() == reflect.String:
		f.SetString(r.Name())
	case f.Kind() == reflect.Bool:
		f.SetBool(r.Bool())
	case f.Kind() == reflect.Int:
		f.SetInt(decodeInt(r))
	case f.Kind() == reflect.Float64:
		f.SetFloat(r.Float64())
	case f.Kind() == reflect.Array:
		r.ArrayOf(f.Len())
		for i := range f.Len() {
			f.Index(i).SetInt(decodeInt(r))
		}
	default: // []int, one entry an axis
		n := r.Array()
		if n > maxRank {
			r.Fail("%d entries, the limit is %d", n, maxRank)
			return
		}
		for range n {
			f.Set(reflect.Append(f, reflect.ValueOf(int(decodeInt(r)))))
		}
	}
}

func decodeInt(r *pack.Reader) int64 { return r.IntIn(-maxInt, maxInt) }

func decodeDType(r *pack.Reader) array.DType {
	d, err := array.ParseDType(r.String(pack.MaxName))
	if err != nil {
		r.Fail("%v", err)
	}
	return d
}

func decodeShape(r *pack.Reader) Shape {
	n := r.Array()
	if n > maxRank {
		r.Fail("rank %d, the limit is %d", n, maxRank)
		return nil
	}
	var s Shape
	for range n {
		s = append(s, decodeDim(r))
	}
	if r.Err() == nil {
		if err := bounded(s); err != nil {
			r.Fail("%v", err)
		}
	}
	return s
}

func decodeDim(r *pack.Reader) Dim {
	symbolic := r.IsArray()
	if symbolic {
		r.ArrayOf(2)
	}
	d := Dim{C: int(r.IntIn(1, maxInt))}
	if symbolic {
		d.Sym = r.Name()
		if err := checkSymbols(d.Sym); err != nil {
			r.Fail("%v", err)
		}
	}
	return d
}

// checkSymbols returns an error unless s is names sorted and joined by "*".
func checkSymbols(s string) error {
	names := strings.Split(s, "*")
	if !slices.IsSorted(names) {
		return fmt.Errorf("symbols %q are not sorted", s)
	}
	for _, n := range names {
		if n == "" || strings.ContainsFunc(n, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
			return fmt.Errorf("symbols %q: want names of letters and digits joined by *", s)
		}
	}
	return nil
}
