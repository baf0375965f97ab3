package checkpoint

import (
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// decodeV1 decodes a header of version 1. Its input becomes the port "x", and its classes become
// those of the port "logits".
func (d *headerDecoder) decodeV1() {
	r, h := d.r, d.h
	r.Fields("meta", "programs", "tensors", "parts", "levels", "state")
	h.info = d.metaV1()
	r.Key("programs")
	n := d.array()
	last := ""
	h.programs, h.code = make([]program, 0, n), make([]blob, 0, n)
	for i := range n {
		r.ArrayOf(2)
		h.programs = append(h.programs, program{d.next(&last), i})
		h.code = append(h.code, d.blob())
	}
	r.Key("tensors")
	d.tensors()
	r.Key("parts")
	d.parts()
	r.Key("levels")
	d.levels(func(l *level) {
		r.ArrayOf(3)
		*l = level{name: r.Name(), notes: d.texts()}
	})
	r.Key("state")
	if r.IsNil() {
		return
	}
	r.Fields("ints", "tensors")
	h.state = &state{ints: d.ints()}
	r.Key("tensors")
	h.state.parts = d.setParts("state")
}

func (d *headerDecoder) metaV1() Info {
	r := d.r
	r.Fields("model", "recipe", "data", "seed", "versions", "input", "extra")
	m := Info{}
	d.texted(&m)
	r.Key("input")
	r.Fields("shape", "mean", "std", "classes")
	shape := d.dims()
	r.Key("mean")
	mean := d.floats()
	r.Key("std")
	std := d.floats()
	if len(std) != len(mean) {
		r.Fail("mean has %d channels, std has %d", len(mean), len(std))
	}
	r.Key("classes")
	classes := d.names()
	if len(shape)+len(mean) > 0 {
		m.Inputs = []Port{{Name: "x", DType: array.F32, Shape: graph.Batch(shape...), Mean: mean, Std: std}}
	}
	if len(classes) > 0 {
		m.Outputs = []Port{{Name: "logits", DType: array.F32, Shape: graph.Batch(len(classes)), Classes: classes}}
	}
	r.Key("extra")
	m.Extra = d.texts()
	return m
}
