package repotest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/compressaware/cram/"

// imports lists, for every package, the packages that it may import. A name that ends in "/..."
// covers the packages below it, and the longest name that matches a package applies. Third-party
// modules that a package may import follow after "|".
var imports = map[string]string{
	"internal/pack":                 "| github.com/vmihailenco/msgpack/v5",
	"internal/gorgonia":             "| gorgonia.org/tensor",
	"internal/testdata":             "",
	"internal/repotest":             "",
	"internal/printable":            "",
	"internal/dynlib":               "| github.com/ebitengine/purego",
	"sdk/array":                     "| github.com/x448/float16",
	"sdk/graph":                     "sdk/array internal/pack",
	"sdk/compress":                  "sdk/array sdk/graph internal/gorgonia | gorgonia.org/tensor",
	"sdk/compress/...":              "sdk/compress sdk/array sdk/graph backends backends/reference",
	"sdk/nn":                        "sdk/array sdk/graph",
	"sdk/nn/models":                 "sdk/nn sdk/array sdk/graph",
	"sdk/nn/internal/...":           "sdk/nn sdk/array sdk/graph backends backends/reference",
	"sdk/optim":                     "sdk/array sdk/graph sdk/compress sdk/nn",
	"sdk/data":                      "sdk/array sdk/graph internal/gorgonia | gorgonia.org/tensor golang.org/x/image",
	"sdk/metric":                    "sdk/array",
	"sdk/internal/step":             "sdk/array sdk/graph sdk/compress sdk/nn sdk/optim sdk/data backends",
	"sdk/progress":                  "sdk | github.com/schollz/progressbar/v3 golang.org/x/term",
	"checkpoint":                    "sdk/array sdk/graph internal/pack",
	"checkpoint/...":                "sdk/array",
	"checkpoint/onnx":               "sdk/array sdk/graph | google.golang.org/protobuf",
	"backends":                      "sdk/array sdk/graph",
	"backends/reference":            "backends sdk/array sdk/graph",
	"backends/cpu":                  "backends backends/cpu/... sdk/array sdk/graph | github.com/klauspost/cpuid/v2",
	"backends/cpu/internal/kernels": "| github.com/klauspost/cpuid/v2",
	"backends/backendtest":          "backends backends/reference sdk/array sdk/graph",
	"plugins":                       "plugins/internal/protocol/v1 plugins/internal/... backends sdk/compress sdk/array sdk/graph internal/printable | github.com/hashicorp/go-plugin github.com/hashicorp/go-hclog google.golang.org/grpc",
	"plugins/internal/memory":       "plugins/internal/protocol/v1 | golang.org/x/sys google.golang.org/grpc",
	"plugins/internal/process":      "| github.com/hashicorp/go-plugin golang.org/x/sys",
	"plugins/plugintest":            "plugins plugins/internal/protocol/v1 sdk/compress sdk/compress/compresstest sdk/array sdk/graph backends backends/backendtest",
	"plugins/avx512":                "plugins backends/cpu",
	"plugins/internal/protocol/v1":  "| google.golang.org/grpc google.golang.org/protobuf",
	"sdk":                           "sdk/array sdk/graph sdk/compress sdk/nn sdk/optim sdk/metric sdk/internal/... sdk/data checkpoint backends backends/cpu internal/gorgonia | gorgonia.org/tensor",
	"cmd/...":                       "*",
	"examples/...":                  "*",
}

type listed struct {
	ImportPath, Doc, Name string
	Imports, Deps         []string
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,Name,Imports,Deps"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// covers reports whether name is pkg or, if name ends in "/...", whether pkg is below that package.
func covers(name, pkg string) bool {
	if above, ok := strings.CutSuffix(name, "/..."); ok {
		return strings.HasPrefix(pkg, above+"/")
	}
	return name == pkg
}

func ruleFor(pkg string) (string, bool) {
	best := ""
	for name := range imports {
		if covers(name, pkg) && len(name) > len(best) {
			best = name
		}
	}
	return imports[best], best != ""
}

// TestImports holds that each package imports only the packages and modules that its row permits.
func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		rule, ok := ruleFor(pkg)
		if !ok {
			t.Errorf("%s is not listed: add the package to the table imports and to docs/architecture.md", pkg)
			continue
		}
		if rule == "*" {
			continue
		}
		packages, modules, _ := strings.Cut(rule, "|")
		for _, imp := range p.Imports {
			own, ours := strings.CutPrefix(imp, module)
			first, _, _ := strings.Cut(imp, "/")
			allowed := !strings.Contains(first, ".") && !ours // the standard library
			for _, r := range strings.Fields(packages) {
				allowed = allowed || ours && covers(r, own)
			}
			for _, m := range strings.Fields(modules) {
				allowed = allowed || imp == m || strings.HasPrefix(imp, m+"/")
			}
			if !allowed {
				t.Errorf("%s imports %s, which its row does not permit", pkg, imp)
			}
		}
	}
}

// TestServingIsLight holds that a program with sdk alone links no gRPC, no plugins, no terminal
// library, no libraries that are opened at run time and no test suites, and that the command line
// links neither of the last two.
func TestServingIsLight(t *testing.T) {
	heavy := []string{"google.golang.org/grpc", module + "plugins", "github.com/schollz/progressbar", "golang.org/x/term", "github.com/ebitengine/purego", "testing"}
	for pkg, refused := range map[string][]string{"./sdk": heavy, "./cmd/cram": heavy[4:5]} {
		for _, p := range list(t, pkg) {
			for _, dep := range p.Deps {
				if slices.ContainsFunc(refused, func(r string) bool { return dep == r || strings.HasPrefix(dep, r+"/") }) {
					t.Errorf("%s reaches %s", pkg, dep)
				}
			}
		}
	}
}

// TestPackageComments holds that every package has a comment with the usual beginning.
func TestPackageComments(t *testing.T) {
	for _, p := range list(t, "./...") {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
			if strings.Contains(p.ImportPath, "/examples/") {
				want = ""
			}
		}
		if p.Doc == "" || !strings.HasPrefix(p.Doc, want) {
			t.Errorf("%s: package comment is %q; begin it with %q", p.ImportPath, p.Doc, want)
		}
	}
}

// TestImportsCanFail holds that no rule covers a package that is not listed, and that the longest
// name applies.
func TestImportsCanFail(t *testing.T) {
	if _, ok := ruleFor("sdk/nowhere"); ok {
		t.Error("sdk/nowhere is covered")
	}
	if rule, _ := ruleFor("sdk/compress/compresstest"); !slices.Contains(strings.Fields(rule), "backends/reference") {
		t.Error("the longest name does not apply")
	}
}
