package compress

import (
	"fmt"
	"math/bits"
	"strings"
	"text/tabwriter"

	"github.com/compressaware/cram/sdk/array"
)

// A Report lists the effect of a compressor on each prunable weight.
type Report struct {
	// Compressor is the text name of the compressor.
	Compressor string
	// Rows has one entry for each prunable weight, in the order of the weights.
	Rows []Row
}

// A Row is the report on one weight, or on all of them.
type Row struct {
	// Name is the name of the weight, or "total".
	Name string
	// Dims are the dimensions of the weight; nil for a total.
	Dims []int
	// Total is the number of elements, Kept the number of those that the mask keeps.
	Total, Kept int
	// Pattern is the pattern of the mask, or zero.
	Pattern Pattern
	// Skipped is the reason why the weight has no mask, or empty.
	Skipped string
}

// Sparsity returns the fraction of the elements that the mask sets to zero, from 0 to 1. It is 0
// for a row without elements.
func (r Row) Sparsity() float64 {
	if r.Total == 0 {
		return 0
	}
	return 1 - float64(r.Kept)/float64(r.Total)
}

// NewReport returns the report on the result out of c for w. It returns a [*ResultError] if out
// does not pass [Check].
func NewReport(c Compressor, w []Weight, out []Compressed) (Report, error) {
	if err := Check(c, w, out); err != nil {
		return Report{}, err
	}
	r := Report{Compressor: c.String()}
	for i, x := range w {
		if !x.Prunable() {
			continue
		}
		n := array.Count(x.Dims)
		row := Row{Name: x.Name, Dims: x.Dims, Total: n, Kept: n, Pattern: out[i].Pattern, Skipped: out[i].Skipped}
		if !out[i].Mask.None() {
			row.Kept = 0
			for _, b := range out[i].Mask.Data {
				row.Kept += bits.OnesCount8(b)
			}
		}
		r.Rows = append(r.Rows, row)
	}
	return r, nil
}

// Total returns the sum of the rows.
func (r Report) Total() Row {
	t := Row{Name: "total"}
	for _, row := range r.Rows {
		t.Total += row.Total
		t.Kept += row.Kept
	}
	return t
}

// String returns the report as a text table with one line for each weight and one for the total.
func (r Report) String() string {
	var s strings.Builder
	t := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tshape\tweights\tkept\tsparsity\t\n", r.Compressor)
	for _, row := range append(r.Rows[:len(r.Rows):len(r.Rows)], r.Total()) {
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(row.Dims), " ", "×"), "[]")
		note := ""
		if row.Skipped != "" {
			note = "dense: " + row.Skipped
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.2f %%\t%s\n", row.Name, shape, row.Total, row.Kept, 100*row.Sparsity(), note)
	}
	t.Flush() // writing to a strings.Builder cannot fail
	lines := strings.Split(s.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
