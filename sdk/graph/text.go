package graph

import (
	"fmt"
	"reflect"
	"strings"
)

// String returns the program as text, one instruction in each line, and then the outputs and
// updates:
//
//	%3 f32[N 10] = matmul %1 %2 {trans_a=false trans_b=true}
func (p *Program) String() string {
	var b strings.Builder
	for _, i := range p.Code {
		for j, o := range i.Out {
			if j > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%%%d %v", o, p.Types[o])
		}
		fmt.Fprintf(&b, " = %s", i.Op)
		for _, x := range i.In {
			fmt.Fprintf(&b, " %%%d", x)
		}
		if i.Attr != nil {
			b.WriteString(" " + attrText(i.Attr))
		}
		b.WriteByte('\n')
	}
	for _, o := range p.Outputs {
		fmt.Fprintf(&b, "output %s %%%d\n", o.Name, o.ID)
	}
	for _, u := range p.Updates {
		fmt.Fprintf(&b, "update %s %%%d\n", u.Slot, u.ID)
	}
	return b.String()
}

func attrText(a Attr) string {
	v := reflect.ValueOf(a)
	parts := make([]string, v.NumField())
	for i := range parts {
		parts[i] = fmt.Sprintf("%s=%v", fieldName(v.Type().Field(i)), v.Field(i).Interface())
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// fieldName returns the name of an attribute's field in texts and in MessagePack: its graph tag, or
// its Go name in lower case with "_" before every capital but the first. TransA is trans_a. The one
// exception is DType, which is dtype.
func fieldName(f reflect.StructField) string {
	if tag := f.Tag.Get("graph"); tag != "" {
		return tag
	}
	if f.Name == "DType" {
		return "dtype"
	}
	var b strings.Builder
	for i, r := range f.Name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}
