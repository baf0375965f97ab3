package compress

import (
	"fmt"
	"math/bits"
	"strings"
	"text/tabwriter"

	"github.com/compressaware/cram/sdk/array"
)

// A Report says what a compressor's answer does to each prunable weight.
type Report struct {
	Compressor string
	Rows       []Row
}

// A Row is the report on one weight, or on all together.
type Row struct {
	Name    string
	Dims    []int
	Total   int     // weights
	Kept    int     // weights that the answer does not promise to be zero
	Pattern Pattern // what the mask promises beyond zeros
	Skipped string  // why it stayed dense, if it did
}

// Sparsity returns the fraction of the weights that are zero, 0 to 1; 0 when there are none.
func (r Row) Sparsity() float64 {
	if r.Total == 0 {
		return 0
	}
	return 1 - float64(r.Kept)/float64(r.Total)
}

// NewReport reports on the answer of c for w. It is an [*AnswerError] if out does not pass [Check].
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

// String returns the report as a text table, one line a weight and one for the total.
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
	t.Flush() // a strings.Builder does not fail
	lines := strings.Split(s.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}
