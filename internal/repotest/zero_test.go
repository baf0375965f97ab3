package repotest

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/compressaware/cram/backends"
	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/backends/reference"
	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/naming"
	"github.com/compressaware/cram/checkpoint/onnx"
	"github.com/compressaware/cram/checkpoint/safetensors"
	"github.com/compressaware/cram/plugins"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/nn/models"
	"github.com/compressaware/cram/sdk/optim"
	"github.com/compressaware/cram/sdk/progress"
)

// public are the packages whose functions must not panic. Not among them: the suites, which are tests; what protoc generates; and
// backends/cpu/internal/kernels, whose callers have checked.
var public = []string{
	"sdk", "sdk/graph", "sdk/compress", "sdk/nn", "sdk/nn/models", "sdk/optim", "sdk/data", "sdk/progress",
	"checkpoint", "checkpoint/naming", "checkpoint/onnx", "checkpoint/safetensors", "backends", "backends/cpu", "backends/reference", "plugins",
}

// zeros holds a zero value of every type with methods, and functions every function, of the public packages.
var zeros = []any{
	new(sdk.Checkpointing), new(sdk.Live), new(sdk.Network), new(sdk.Predictor), new(sdk.Trainer),
	new(graph.Builder), new(array.DType), new(graph.Def), new(graph.Dim), new(array.Encoding), new(graph.Node), new(graph.Program), new(graph.Role),
	new(graph.Shape), new(graph.SlotKind), new(array.Tensor), new(graph.Type), new(array.Value),
	new(compress.AnswerError), new(compress.Block), new(compress.Dense), new(compress.Meta), new(compress.NM), new(compress.Report), new(compress.Row),
	new(compress.TopK), new(compress.Uniform), new(compress.Weight),
	new(nn.AvgPool), new(nn.BatchNorm), new(nn.Conv2D), new(nn.Dropout), new(nn.Embedding), new(nn.Func), new(nn.LayerNorm), new(nn.Linear), new(nn.MaxPool),
	new(nn.Mode), new(nn.Pass), new(nn.Sequential),
	new(models.CNN), new(models.MLP), new(models.MobileNet), new(models.ResNet), new(models.VGG),
	new(optim.Adam), new(optim.AdamW), new(optim.Ascend), new(optim.Clip), new(optim.Constant), new(optim.Cosine), new(optim.Estimator), new(optim.Groups),
	new(optim.Linear), new(optim.MultiStep), new(optim.SGD),
	new(data.CenterCrop), new(data.FileError), new(data.Loader), new(data.Normalize), new(data.Random), new(data.RandomCrop), new(data.RandomHorizontalFlip),
	new(data.Split),
	new(progress.Display),
	new(checkpoint.FormatError), new(checkpoint.LevelError), new(checkpoint.Reader), new(naming.Report), new(safetensors.File),
	new(backends.UnsupportedError), new(cpu.Backend),
	new(plugins.Backend), new(plugins.Compressor), new(plugins.DiedError), new(plugins.ReplyError),
}

var functions = []any{
	sdk.Accuracy, sdk.LowLoss, sdk.Compress, sdk.FromWeights, sdk.Open, sdk.AllowNonFinite, sdk.Level, sdk.On, sdk.Pin, sdk.LoadSparse, sdk.LoadSparseFS,
	sdk.LoadSparseFrom, sdk.Mmap, sdk.OpenFS, sdk.OpenFrom,
	array.Count, graph.Uniform, graph.NewBuilder, array.ParseDType, graph.Lookup, graph.Ops, graph.Sym, array.ParseEncoding, graph.Decode, graph.Batch, graph.Of,
	array.FromF32, array.FromF64, array.FromI32, array.FromI64, array.New, array.Scalar, array.DenseValue,
	compress.Apply, compress.Check, compress.CheckCompressor, compress.Mask, compress.Values, compress.Except, compress.Func, compress.Only, compress.Parse,
	compress.Metas, compress.NewReport,
	nn.CrossEntropy, nn.Flatten, nn.GELU, nn.GlobalAvgPool, nn.Initial, nn.KaimingNormal, nn.KaimingUniform, nn.MSE, nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Tanh,
	nn.Declare, nn.Constant, nn.Normal, nn.Uniform, nn.NewPass,
	models.Names, models.New, models.SmallCNN, models.LeNet300, models.MobileNetV1, models.ResNet18, models.ResNet18CIFAR, models.ResNet20, models.ResNet20A,
	models.ResNet32, models.ResNet34, models.ResNet50, models.ResNet56, models.VGG16BN, models.VGG16BNCIFAR,
	optim.All, optim.CheckRule, optim.CheckSchedule, optim.Kernels, optim.CrAM, optim.CrAMPlus, optim.Plain, optim.SAM,
	data.DecodeImage, data.Fetch, data.Image, data.KnownSets, data.Lookup, data.NewRandom, data.CIFAR10, data.FashionMNIST, data.Folder, data.FromDense,
	data.FromSlices, data.MNIST, data.Sample, data.Shapes, data.Subset,
	progress.New,
	checkpoint.Save, checkpoint.Write, checkpoint.NewReader, checkpoint.Open, checkpoint.OpenFS, checkpoint.OpenMapped, naming.Convert, naming.Tables, onnx.Write, onnx.Fold, safetensors.Write,
	safetensors.New, safetensors.Open, cpu.New, reference.New,
	plugins.LaunchBackend, plugins.LaunchCompressor, plugins.Describe,
}

// handles are types whose zero value stands for nothing: all of their methods that can fail must, except Close.
var handles = []any{
	new(sdk.Live), new(sdk.Network), new(sdk.Predictor), new(sdk.Trainer), new(checkpoint.Reader), new(safetensors.File), new(cpu.Backend), new(plugins.Backend),
	new(plugins.Compressor),
}

// unguarded are those that may panic, and why.
var unguarded = map[string]string{
	"(*graph.Tensor).Bit":                "an index, like a slice's: it stands in inner loops",
	"(*graph.Tensor).SetBit":             "likewise",
	"(*data.CenterCrop).Apply":           "Shape has refused what Apply cannot do",
	"(*data.Normalize).Apply":            "likewise",
	"(*data.RandomCrop).Apply":           "likewise",
	"(*data.RandomHorizontalFlip).Apply": "likewise",
	"nil (*data.Random).Float32":         "it has no result that could say so",
	"nil (*data.Random).Uint64":          "likewise",
	"nil (*nn.Pass).Apply":               "most methods of a Pass are its Builder's, and the language panics before they begin",
	"nil (*nn.Pass).At":                  "likewise",
	"nil (*nn.Pass).Decls":               "likewise",
	"nil (*nn.Pass).Param":               "likewise",
	"nil (*nn.Pass).SetStat":             "likewise",
	"nil (*nn.Pass).Stat":                "likewise",
}

// TestZero calls every public method on a zero value and on nil, and every public function, with zero arguments: a background context, an
// empty builder and an empty pass where one is wanted.
func TestZero(t *testing.T) {
	for _, x := range zeros {
		v := reflect.ValueOf(x)
		for _, v := range []reflect.Value{v, reflect.Zero(v.Type())} {
			if v.IsNil() && v.Type().Implements(reflect.TypeFor[error]()) {
				continue // a nil error is none
			}
			for i := range v.NumMethod() {
				m := v.Type().Method(i)
				if _, byValue := v.Type().Elem().MethodByName(m.Name); v.IsNil() && byValue {
					continue // the language panics
				}
				name := fmt.Sprintf("(%v).%s", v.Type(), m.Name)
				if v.IsNil() {
					name = "nil " + name
				}
				for _, result := range calls(t, name, v.Method(i)) {
					if result.Type() == reflect.TypeFor[error]() && result.IsNil() && m.Name != "Close" && isHandle(v.Type()) {
						t.Errorf("%s succeeds", name)
					}
				}
			}
		}
	}
	for _, f := range functions {
		v := reflect.ValueOf(f)
		calls(t, strings.TrimPrefix(runtime.FuncForPC(v.Pointer()).Name(), module), v)
	}
}

func isHandle(of reflect.Type) bool {
	return slices.ContainsFunc(handles, func(x any) bool { return reflect.TypeOf(x) == of })
}

func calls(t *testing.T, name string, f reflect.Value) []reflect.Value {
	defer func() {
		r := recover()
		if _, may := unguarded[name]; may != (r != nil) {
			t.Errorf("%s: panic %v; it is among the unguarded: %v\n%s", name, r, may, debug.Stack())
		}
	}()
	var args []reflect.Value
	for k := range f.Type().NumIn() {
		switch in := f.Type().In(k); in {
		case reflect.TypeFor[context.Context]():
			args = append(args, reflect.ValueOf(context.Background()))
		case reflect.TypeFor[*graph.Builder]():
			args = append(args, reflect.ValueOf(graph.NewBuilder()))
		case reflect.TypeFor[*nn.Pass]():
			args = append(args, reflect.ValueOf(nn.NewPass(graph.NewBuilder(), nn.Train)))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	if f.Type().IsVariadic() {
		return f.CallSlice(args)
	}
	return f.Call(args)
}

// TestZeroIsComplete holds that the tables above have everything.
func TestZeroIsComplete(t *testing.T) {
	have := map[string]bool{"plugins.Serve": true} // which ends the process
	for _, x := range zeros {
		e := reflect.TypeOf(x).Elem()
		have[strings.TrimPrefix(e.PkgPath(), module)+"."+e.Name()] = true
	}
	for _, f := range functions {
		have[strings.TrimPrefix(runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name(), module)] = true
	}
	found := 0
	for _, pkg := range public {
		for _, name := range declared(t, pkg) {
			found++
			if !have[name] {
				t.Errorf("%s is not in the tables of zero_test.go: add it", name)
			}
		}
	}
	if found < 200 {
		t.Errorf("found %d public functions and methods", found)
	}
}

// declared returns the exported functions of a package, and for each exported method the type it belongs to.
func declared(t *testing.T, pkg string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			name := f.Name
			if f.Recv != nil {
				of := f.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if name, ok = of.(*ast.Ident); !ok || !name.IsExported() {
					continue
				}
			}
			names = append(names, pkg+"."+name.Name)
		}
	}
	return names
}
