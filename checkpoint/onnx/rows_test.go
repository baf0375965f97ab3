package onnx

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/graph"
)

// A rowCase is one use of an operation.
type rowCase struct {
	op    graph.Op
	name  string
	in    []operand
	build func(b *graph.Builder, x []graph.Node) graph.Node
	slots map[string]operand // that build reads
}

// An operand is a tensor of numbers that f makes of numbers spread evenly over (-1, 1).
type operand struct {
	dtype array.DType
	batch bool // the first dimension is symbolic
	dims  []int
	f     func(u float64) float64
}

func float(dims ...int) operand { return operand{dtype: array.F32, dims: dims, f: span(-3, 3)} }
func images(dims ...int) operand {
	return operand{dtype: array.F32, batch: true, dims: dims, f: span(-3, 3)}
}
func ints(below float64, dims ...int) operand {
	return operand{dtype: array.I32, dims: dims, f: func(u float64) float64 { return math.Floor((u + 1) / 2 * below) }}
}
func bits(dims ...int) operand {
	return operand{dtype: array.Bit, dims: dims, f: func(u float64) float64 { return u }}
}

// in returns o with its elements between two numbers.
func (o operand) in(low, high float64) operand {
	o.f = span(low, high)
	return o
}

// rounded returns o with small integers as its elements, so that many are equal.
func (o operand) rounded() operand {
	f := o.f
	o.f = func(u float64) float64 { return math.Round(f(u)) }
	return o
}

func span(low, high float64) func(float64) float64 {
	return func(u float64) float64 { return low + (u+1)/2*(high-low) }
}

// tiny spreads magnitudes from 1e-6 to 1e-3, of both signs.
func tiny(u float64) float64 { return math.Copysign(math.Pow(10, -3-3*math.Abs(u)), u) }

// tensor fills o; at tells operands of a case apart.
func (o operand) tensor(t *testing.T, at int) array.Tensor {
	t.Helper()
	x, err := array.New(o.dtype, o.dims...)
	if err != nil {
		t.Fatal(err)
	}
	for k := range x.Len() {
		_, part := math.Modf(float64(k+1)*math.Phi + float64(at)*0.377)
		switch v := o.f(2*part - 1); o.dtype {
		case array.F32:
			x.F32()[k] = float32(v)
		case array.F64:
			x.F64()[k] = v
		case array.I32:
			x.I32()[k] = int32(v)
		case array.Bit:
			if v > 0 {
				x.SetBit(k)
			}
		}
	}
	return x
}

func (o operand) shape() graph.Shape {
	if o.batch {
		return graph.Batch(o.dims[1:]...)
	}
	return graph.Of(o.dims...)
}

// TestRows writes every operation of the table as a model of its own, which must succeed, and in
// CRAM_ONNX_DIR with inputs and the reference's answers beside it, for .ci/onnx to compare.
func TestRows(t *testing.T) {
	ran := map[graph.Op]bool{}
	for k, c := range rowCases() {
		ran[c.op] = true
		t.Run(fmt.Sprintf("%s %s", c.op, c.name), func(t *testing.T) { c.run(t, fmt.Sprintf("op-%03d-%s", k, c.op)) })
	}
	for op := range rows {
		if !ran[op] {
			t.Errorf("operation %s has a row and no case", op)
		}
	}
}

// TestRefusesOthers holds that an operation without a row is refused by its name: what trains,
// prunes or draws.
func TestRefusesOthers(t *testing.T) {
	image, labels := graph.Type{DType: array.F32, Shape: graph.Batch(4, 6, 6)}, graph.Type{DType: array.I32, Shape: graph.Batch()}
	grad := func(b *graph.Builder, y, x graph.Node) graph.Node { return b.Grad(b.Sum(b.Mul(y, y), false), x)[0] }
	pool := graph.PoolAttr{Kernel: [2]int{2, 2}}
	// w is [4 4 3 3], v [4].
	uses := map[graph.Op]func(b *graph.Builder, x, w, v, labels graph.Node) graph.Node{
		graph.OpUniform: func(b *graph.Builder, _, _, _, _ graph.Node) graph.Node {
			return b.Uniform(b.Const(array.I64, 3, graph.Of(2)), 1, array.F32, graph.Of(3))
		},
		graph.OpReluGrad: func(b *graph.Builder, x, _, _, _ graph.Node) graph.Node { return grad(b, b.Relu(x), x) },
		graph.OpConv2DDX: func(b *graph.Builder, x, w, _, _ graph.Node) graph.Node {
			return grad(b, b.Conv2D(x, w, graph.ConvAttr{}), x)
		},
		graph.OpConv2DDW: func(b *graph.Builder, x, w, _, _ graph.Node) graph.Node {
			return grad(b, b.Conv2D(x, w, graph.ConvAttr{}), w)
		},
		graph.OpMaxPoolGrad: func(b *graph.Builder, x, _, _, _ graph.Node) graph.Node { return grad(b, b.MaxPool(x, pool), x) },
		graph.OpAvgPoolGrad: func(b *graph.Builder, x, _, _, _ graph.Node) graph.Node { return grad(b, b.AvgPool(x, pool), x) },
		graph.OpScatterAdd:  func(b *graph.Builder, x, _, _, labels graph.Node) graph.Node { return b.ScatterAdd(x, labels, 3) },
		graph.OpBatchNorm: func(b *graph.Builder, x, _, v, _ graph.Node) graph.Node {
			y, _, _ := b.BatchNorm(x, v, v, 1e-5)
			return y
		},
		graph.OpBatchNormGrad: func(b *graph.Builder, x, _, v, _ graph.Node) graph.Node {
			y, _, _ := b.BatchNorm(x, v, v, 1e-5)
			return b.Grad(b.Sum(y, false), x)[0]
		},
		graph.OpLayerNormGrad: func(b *graph.Builder, _, w, _, _ graph.Node) graph.Node {
			x := b.Reshape(w, graph.Of(36, 4))
			v := b.Const(array.F32, 1, graph.Of(4))
			return grad(b, b.LayerNorm(x, v, v, 1e-5), w)
		},
		graph.OpCrossEntropy: func(b *graph.Builder, x, _, _, labels graph.Node) graph.Node {
			return b.CrossEntropy(b.Flatten(x, 1), labels)
		},
		graph.OpCrossEntropyGrad: func(b *graph.Builder, x, _, _, labels graph.Node) graph.Node {
			return b.Grad(b.Sum(b.CrossEntropy(b.Flatten(x, 1), labels), false), x)[0]
		},
		graph.OpTopKMask:  func(b *graph.Builder, _, w, _, _ graph.Node) graph.Node { return b.TopKMask(5, w)[0] },
		graph.OpNMMask:    func(b *graph.Builder, _, w, _, _ graph.Node) graph.Node { return b.NMMask(w, 2, 4, 0) },
		graph.OpBlockMask: func(b *graph.Builder, _, w, _, _ graph.Node) graph.Node { return b.BlockMask(5, 2, w)[0] },
	}
	for _, d := range graph.Ops() {
		use, named := uses[d.Op]
		if _, exported := rows[d.Op]; exported == named {
			t.Errorf("operation %s has a row: %v, is refused: %v", d.Op, exported, named)
		}
		if !named {
			continue
		}
		b := graph.NewBuilder()
		x, index := b.Input("x", image.DType, image.Shape), b.Input("labels", labels.DType, labels.Shape)
		b.Output("y", use(b, x, b.Input("w", array.F32, graph.Of(4, 4, 3, 3)), b.Input("v", array.F32, graph.Of(4)), index))
		p, err := b.Program()
		if err != nil {
			t.Fatal(d.Op, err)
		}
		var model bytes.Buffer
		// norms with statistics of their own are refused before their gradients
		want := "operation " + strings.TrimSuffix(string(d.Op), "_grad")
		if err := Write(&model, Model{Program: p}); err == nil || !strings.Contains(err.Error(), want) || p.Count(d.Op) == 0 || model.Len() > 0 {
			t.Errorf("operation %s: got %v, after %d bytes; want %q", d.Op, err, model.Len(), want)
		}
	}
}

// TestDimensionOfOneInput holds that a dimension of several inputs is read from one of them, and
// that no node is left over.
func TestDimensionOfOneInput(t *testing.T) {
	b := graph.NewBuilder()
	x, z := b.Input("x", array.F32, graph.Batch(3)), b.Input("z", array.F32, graph.Batch(3))
	b.Output("y", b.Concat(1, x, b.ConstLike(x, 1), z))
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	e, err := export(Model{Program: p})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, node := range e.nodes {
		if node.op == "Shape" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d nodes ask for a shape, want 1", n)
	}
}

func (c rowCase) run(t *testing.T, stem string) {
	b := graph.NewBuilder()
	m := Model{Name: c.name, Tensors: map[string]array.Value{}}
	x, feeds := make([]graph.Node, len(c.in)), make([]array.Tensor, len(c.in))
	tensors := map[string]array.Tensor{}
	for k, o := range c.in {
		name := fmt.Sprintf("x%d", k)
		x[k], feeds[k] = b.Input(name, o.dtype, o.shape()), o.tensor(t, k)
		tensors["in:"+name] = feeds[k]
	}
	for name, o := range c.slots {
		m.Tensors[name] = array.DenseValue(o.tensor(t, len(name)))
	}
	b.Output("y", c.build(b, x))
	var err error
	if m.Program, err = b.Program(); err != nil {
		t.Fatal(err)
	}
	if m.Program.Count(c.op) == 0 {
		t.Fatalf("the program has no %s:\n%v", c.op, m.Program)
	}
	var model bytes.Buffer
	if err := Write(&model, m); err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("CRAM_ONNX_DIR")
	if dir == "" {
		return
	}
	tensors["out:y"] = answer(t, m, feeds)
	values := map[string]array.Value{}
	for name, x := range tensors {
		values[name] = array.DenseValue(unpacked(t, x))
	}
	var data bytes.Buffer
	if err := safetensors.Write(&data, values, map[string]string{"case": c.name}); err != nil {
		t.Fatal(err)
	}
	for suffix, content := range map[string][]byte{".onnx": model.Bytes(), ".safetensors": data.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, stem+suffix), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// answer runs m by the definition of its operations.
func answer(t *testing.T, m Model, feeds []array.Tensor) array.Tensor {
	t.Helper()
	session, err := reference.New().NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for name, v := range m.Tensors {
		if err := session.Set(t.Context(), name, v); err != nil {
			t.Fatal(err)
		}
	}
	exe, err := session.Compile(t.Context(), m.Program, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := exe.Run(t.Context(), feeds, nil)
	if err != nil {
		t.Fatal(err)
	}
	return y[0]
}

// unpacked returns bits as numbers, since safetensors has none, and anything else as it is.
func unpacked(t *testing.T, x array.Tensor) array.Tensor {
	t.Helper()
	if x.DType != array.Bit {
		return x
	}
	y, err := array.New(array.I8, x.Dims...)
	if err != nil {
		t.Fatal(err)
	}
	for k := range y.Data {
		if x.Bit(k) {
			y.Data[k] = 1
		}
	}
	return y
}
