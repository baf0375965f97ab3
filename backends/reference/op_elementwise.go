package reference

import (
	"math"

	"github.com/compressaware/cram/sdk/graph"
)

// unary is the kernel of y[k] = f(x[k]).
func unary(f func(x float64) float64) kernel {
	return func(_ graph.Attr, x, y []operand) error {
		for k, v := range x[0].f {
			y[0].f[k] = f(v)
		}
		return nil
	}
}

// binary is the kernel of z[k] = f(x[k], y[k]).
func binary(f func(x, y float64) float64) kernel {
	return func(_ graph.Attr, x, z []operand) error {
		for k, v := range x[0].f {
			z[0].f[k] = f(v, x[1].f[k])
		}
		return nil
	}
}

func relu(x float64) float64 {
	if x < 0 {
		return 0
	}
	return x
}

func reluGrad(dy, y float64) float64 {
	if y > 0 {
		return dy
	}
	return 0
}

func larger(x, y float64) float64 {
	if x < y || math.IsNaN(y) {
		return y
	}
	return x
}

func smaller(x, y float64) float64 {
	if y < x || math.IsNaN(y) {
		return y
	}
	return x
}

func less(_ graph.Attr, x, z []operand) error {
	for k := range z[0].i {
		if x[0].dtype.Float() {
			z[0].i[k] = bit(x[0].f[k] < x[1].f[k])
		} else {
			z[0].i[k] = bit(x[0].i[k] < x[1].i[k])
		}
	}
	return nil
}

func scale(attr graph.Attr, x, y []operand) error {
	c := attr.(graph.ScalarAttr).C
	return unary(func(v float64) float64 { return c * v })(attr, x, y)
}

func shift(attr graph.Attr, x, y []operand) error {
	c := attr.(graph.ScalarAttr).C
	return unary(func(v float64) float64 { return v + c })(attr, x, y)
}

func cast(_ graph.Attr, x, y []operand) error {
	for k, v := range x[0].f {
		y[0].setFloat(k, v)
	}
	for k, v := range x[0].i {
		y[0].setInt(k, v)
	}
	return nil
}

func constant(attr graph.Attr, _, y []operand) error {
	for k := range y[0].size() {
		y[0].setFloat(k, attr.(graph.ConstAttr).Value)
	}
	return nil
}

func uniform(attr graph.Attr, x, y []operand) error {
	key := [2]int64(x[0].i)
	for k := range y[0].f {
		y[0].f[k] = graph.Uniform(key, attr.(graph.UniformAttr).Stream, k)
	}
	return nil
}
