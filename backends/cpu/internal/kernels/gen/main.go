// Command gen writes the assembly of package kernels. For each row of the table files it writes
// NAME_amd64.s and the Go declarations NAME_amd64.go.
//
//	go run . DIR [NAME ...]
//
// writes all files, or those with the given names, to the directory DIR. The package avo
// (https://github.com/mmcloughlin/avo) allocates the registers and prints the code.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/buildtags"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// files has one row for each pair of generated files.
var files = []struct {
	name string
	emit func(*build.Context)
}{
	{"peak", peak},
	{"vec", vec},
	{"functions", functions},
	{"reduce", reduce},
	{"norm", norm},
	{"gemm", gemm},
	{"pool", pool},
	{"conv_band_avx512", convBands(convAVX512, convBandsAVX512)},
	{"conv_band_avx2", convBands(convAVX2, convBandsAVX2)},
	{"conv_fill", convFill},
	{"conv_grad_avx512", convGrads(convAVX512, convGradsAVX512, 31)},
	{"conv_grad_avx2", convGrads(convAVX2, convGradsAVX2, 7)},
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . DIR [NAME ...]")
		os.Exit(2)
	}
	dir, names := os.Args[1], os.Args[2:]
	for _, f := range files {
		if len(names) > 0 && !slices.Contains(names, f.name) {
			continue
		}
		if err := write(dir, f.name, f.emit); err != nil {
			fmt.Fprintf(os.Stderr, "gen %s: %v\n", f.name, err)
			os.Exit(1)
		}
	}
}

// write writes one pair of files.
func write(dir, name string, emit func(*build.Context)) error {
	c := build.NewContext()
	c.Constraints(buildtags.And(buildtags.Term("amd64"), buildtags.Not("noasm")))
	emit(c)
	cfg := printer.Config{Name: "gen", Argv: []string{"go", "generate"}, Pkg: "kernels"}
	asm, err := os.Create(filepath.Join(dir, name+"_amd64.s"))
	if err != nil {
		return err
	}
	stubs, err := os.Create(filepath.Join(dir, name+"_amd64.go"))
	if err != nil {
		return err
	}
	passes := []pass.Interface{
		pass.Compile,
		&pass.Output{Writer: asm, Printer: printer.NewGoAsm(cfg)},
		&pass.Output{Writer: stubs, Printer: printer.NewStubs(cfg)},
	}
	if status := build.Main(&build.Config{ErrOut: os.Stderr, MaxErrors: 10, Passes: passes}, c); status != 0 {
		return fmt.Errorf("avo failed with status %d", status)
	}
	return nil
}

// function begins a leaf function with the given name and Go signature.
func function(c *build.Context, name, signature string, doc ...string) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(signature)
	c.Doc(doc...)
}
