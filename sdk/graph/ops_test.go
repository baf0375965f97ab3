package graph_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/graph"
)

// TestOpNames holds that the constant of an op is "Op" and its text without "_", in any case, that
// each constant has a row in the table and each row a constant.
func TestOpNames(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "ops.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[graph.Op]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Op" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				constants[graph.Op(text)] = spec.Names[0].Name
			}
		}
		return true
	})
	exceptions := map[string]graph.Op{"OpMask": "keep"} // files have the old text
	for op, name := range constants {
		want, excepted := exceptions[name]
		if !excepted && !strings.EqualFold(name, "Op"+strings.ReplaceAll(string(op), "_", "")) || excepted && op != want {
			t.Errorf("the constant of %q is %s", op, name)
		}
		if _, ok := op.Def(); !ok {
			t.Errorf("%s has no row in the table", name)
		}
	}
	for _, d := range graph.Ops() {
		if constants[d.Op] == "" {
			t.Errorf("%q has no constant", d.Op)
		}
	}
}
