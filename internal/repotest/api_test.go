package repotest

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	apiFile = "../../docs/api.txt"
	// maxNames limits the lines that go doc -short prints for all public packages.
	maxNames = 300
)

var updateAPI = flag.Bool("update", false, "write docs/api.txt")

// TestAPI holds that docs/api.txt lists every exported declaration of the public packages.
func TestAPI(t *testing.T) {
	var api []string
	for _, p := range publicPackages(t) {
		api = append(api, declarations(p.path, parsePackage(t, p))...)
	}
	slices.Sort(api)
	got := strings.Join(slices.Compact(api), "\n") + "\n"
	if *updateAPI {
		if err := os.WriteFile(apiFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(apiFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	const update = "update it with: go test ./internal/repotest -run API -update"
	want := strings.ReplaceAll(string(b), "\r\n", "\n")
	if difference := compare(want, got); difference != "" {
		t.Errorf("docs/api.txt is not the public API (- only in the file, + only in the code):\n%s%s", difference, update)
	} else if want != got {
		t.Errorf("docs/api.txt is not sorted or has a line twice: %s", update)
	}
}

// TestNameCount holds that the public packages have at most maxNames names in all, counted as lines
// of go doc -short.
func TestNameCount(t *testing.T) {
	total := 0
	for _, p := range publicPackages(t) {
		cmd := exec.Command("go", "doc", "-short", "./"+p.path)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go doc -short ./%s: %v", p.path, err)
		}
		names := strings.Count(string(out), "\n")
		t.Logf("%4d %s", names, p.path)
		total += names
	}
	t.Logf("%4d in all", total)
	if total == 0 || total > maxNames {
		t.Errorf("%d public names, want 1 to %d", total, maxNames)
	}
}

// publicPackages returns the packages that other modules can import, except those in cmd and
// examples, with their files for linux/amd64.
func publicPackages(t *testing.T) []publicPackage {
	t.Helper()
	var found []publicPackage
	err := filepath.WalkDir("../..", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, err := filepath.Rel("../..", dir)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); rel != "." {
			name := d.Name()
			_, err := os.Stat(filepath.Join(dir, "go.mod"))
			if err == nil || name[0] == '.' || name[0] == '_' || name == "testdata" || name == "internal" ||
				rel == "cmd" || rel == "examples" {
				return filepath.SkipDir
			}
		}
		target := build.Default
		target.GOOS, target.GOARCH, target.CgoEnabled = "linux", "amd64", false
		target.BuildTags, target.ToolTags = nil, nil
		p, err := target.ImportDir(dir, 0)
		if none := new(build.NoGoError); errors.As(err, &none) {
			return nil
		}
		if err == nil && p.Name != "main" && len(p.GoFiles) > 0 {
			found = append(found, publicPackage{rel, dir, p.GoFiles})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("found no packages")
	}
	return found
}

// A publicPackage is a package and its files.
type publicPackage struct {
	path  string // slash-separated, relative to the module root
	dir   string
	files []string
}

// parsePackage parses the files of a package.
func parsePackage(t *testing.T, p publicPackage) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range p.files {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// declarations returns the exported declarations of a package, one a line, as the source has them.
// Values and struct tags are left out. Unexported types are in the listing where exported structs
// embed them and so have their exported fields and methods.
func declarations(path string, files []*ast.File) []string {
	listed := listedTypes(files)
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, path+", "+fmt.Sprintf(format, args...)) }
	for _, file := range files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if !d.Name.IsExported() {
					continue
				}
				if d.Recv == nil {
					add("func %s%s%s", d.Name.Name, typeParams(d.Type.TypeParams), signature(d.Type))
				} else if of := d.Recv.List[0].Type; listed[baseName(of)] {
					add("method (%s) %s%s", types.ExprString(of), d.Name.Name, signature(d.Type))
				}
			case *ast.GenDecl:
				var kind ast.Expr // a constant without type and value has that of the one before
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						if listed[spec.Name.Name] {
							addType(add, spec, listed)
						}
					case *ast.ValueSpec:
						if d.Tok == token.VAR || spec.Type != nil || spec.Values != nil {
							kind = spec.Type
						}
						for _, name := range spec.Names {
							if !name.IsExported() {
								continue
							}
							written := ""
							if kind != nil {
								written = " " + types.ExprString(kind)
							}
							add("%s %s%s", d.Tok, name.Name, written)
						}
					}
				}
			}
		}
	}
	return lines
}

// listedTypes returns an entry for every type of a package. It is true for exported types, and for
// unexported types with exported fields or methods that listed structs embed.
func listedTypes(files []*ast.File) map[string]bool {
	listed := map[string]bool{}
	members := map[string]bool{}      // types with exported fields or methods, or embedded types
	embedded := map[string][]string{} // the types that a struct embeds
	var todo []string
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.IsExported() {
				members[baseName(f.Recv.List[0].Type)] = true
			}
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				spec := spec.(*ast.TypeSpec)
				name := spec.Name.Name
				if listed[name] = ast.IsExported(name); listed[name] {
					todo = append(todo, name)
				}
				var fields *ast.FieldList
				switch x := spec.Type.(type) {
				case *ast.StructType:
					fields = x.Fields
				case *ast.InterfaceType:
					fields = x.Methods
				default:
					continue
				}
				for _, f := range fields.List {
					if len(f.Names) == 0 {
						embedded[name] = append(embedded[name], baseName(f.Type))
					}
					if len(f.Names) == 0 || slices.ContainsFunc(f.Names, (*ast.Ident).IsExported) {
						members[name] = true
					}
				}
			}
		}
	}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		for _, e := range embedded[name] {
			if has, ours := listed[e]; ours && !has && members[e] {
				listed[e] = true
				todo = append(todo, e)
			}
		}
	}
	return listed
}

// addType adds a type and the exported fields or methods in its declaration.
func addType(add func(string, ...any), spec *ast.TypeSpec, listed map[string]bool) {
	head := "type " + spec.Name.Name + typeParams(spec.TypeParams)
	if spec.Assign.IsValid() {
		add("%s = %s", head, types.ExprString(spec.Type))
		return
	}
	switch x := spec.Type.(type) {
	case *ast.StructType:
		head += " struct"
		add("%s", head)
		for _, f := range x.Fields.List {
			if has, ours := listed[baseName(f.Type)]; len(f.Names) == 0 && (has || !ours) {
				add("%s, embedded %s", head, types.ExprString(f.Type))
			}
			for _, name := range f.Names {
				if name.IsExported() {
					add("%s, %s %s", head, name.Name, types.ExprString(f.Type))
				}
			}
		}
	case *ast.InterfaceType:
		head += " interface"
		add("%s", head)
		for _, m := range x.Methods.List {
			f, ok := m.Type.(*ast.FuncType)
			switch {
			case !ok || len(m.Names) == 0: // an interface or a union
				add("%s, embedded %s", head, types.ExprString(m.Type))
			case m.Names[0].IsExported():
				add("%s, %s%s", head, m.Names[0].Name, signature(f))
			default:
				add("%s, unexported methods", head)
			}
		}
	default:
		add("%s %s", head, types.ExprString(spec.Type))
	}
}

// signature returns the parameters and results of a function.
func signature(f *ast.FuncType) string { return strings.TrimPrefix(types.ExprString(f), "func") }

// typeParams returns the type parameters of a declaration in brackets, or "".
func typeParams(list *ast.FieldList) string {
	if list == nil {
		return ""
	}
	var params []string
	for _, f := range list.List {
		var names []string
		for _, name := range f.Names {
			names = append(names, name.Name)
		}
		params = append(params, strings.Join(names, ", ")+" "+types.ExprString(f.Type))
	}
	return "[" + strings.Join(params, ", ") + "]"
}

// baseName returns the name of a receiver's type.
func baseName(of ast.Expr) string {
	switch x := of.(type) {
	case *ast.ParenExpr:
		return baseName(x.X)
	case *ast.StarExpr:
		return baseName(x.X)
	case *ast.IndexExpr:
		return baseName(x.X)
	case *ast.IndexListExpr:
		return baseName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// compare returns the lines that are in only one of two texts.
func compare(want, got string) string {
	var b strings.Builder
	only := func(mark, a, other string) {
		lines := strings.Split(other, "\n")
		for line := range strings.Lines(a) {
			if line = strings.TrimSuffix(line, "\n"); !slices.Contains(lines, line) {
				fmt.Fprintf(&b, "%s%s\n", mark, line)
			}
		}
	}
	only("-", want, got)
	only("+", got, want)
	return b.String()
}

// TestAPIChecks holds that the listing has all exported names and no others, and that compare finds
// differences.
func TestAPIChecks(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "a.go", `package a

type T[K comparable, V any] struct {
	A, B int
	F    func(x, y int) error
	S    struct{ X, Y int }
	io.Reader
	hidden
	c int
}

type hidden struct {
	*deeper
	empty
	error
}

type (
	deeper struct{ D int }
	empty  struct{ d int }
	unused struct{ D int }
)

func (deeper) M() {}
func (unused) M() {}

type I interface {
	M(ctx context.Context,
		n int) (a, b string)
	m()
	error
}

type (
	Alias = b.Alias
	Op    string
	Func  func(
		a []int, // why
		b ...map[string]chan<- int,
	)
)

func F[S ~[]E, E any](s S) (S, error) { return s, nil }
func f()                              {}

func (t *T[K, V]) Get(K) V { panic(0) }
func (hidden) Get()        {}
func (Op) String() string  { return "" }
func (Op) string() string  { return "" }

const (
	C0 Op = "a"
	C1
	c2
	C3 = 1
	C4
)

var V, w = 1, 2
var (
	X io.Reader
	Y = X
)
`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`p, const C0 Op
p, const C1 Op
p, const C3
p, const C4
p, func F[S ~[]E, E any](s S) (S, error)
p, method (*T[K, V]) Get(K) V
p, method (Op) String() string
p, method (deeper) M()
p, method (hidden) Get()
p, type Alias = b.Alias
p, type Func func(a []int, b ...map[string]chan<- int)
p, type I interface
p, type I interface, M(ctx context.Context, n int) (a, b string)
p, type I interface, embedded error
p, type I interface, unexported methods
p, type Op string
p, type T[K comparable, V any] struct
p, type T[K comparable, V any] struct, A int
p, type T[K comparable, V any] struct, B int
p, type T[K comparable, V any] struct, F func(x, y int) error
p, type T[K comparable, V any] struct, S struct{X, Y int}
p, type T[K comparable, V any] struct, embedded hidden
p, type T[K comparable, V any] struct, embedded io.Reader
p, type deeper struct
p, type deeper struct, D int
p, type hidden struct
p, type hidden struct, embedded *deeper
p, type hidden struct, embedded error
p, var V
p, var X io.Reader
p, var Y
`, "p, ", "sdk/p, ")
	lines := declarations("sdk/p", []*ast.File{file})
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if difference := compare(want, got); difference != "" || got != want {
		t.Errorf("the listing differs:\n%s%s", difference, got)
	}
	if got := compare("a\nb\nc\n", "b\nd\n"); got != "-a\n-c\n+d\n" {
		t.Errorf("difference %q", got)
	}
}
