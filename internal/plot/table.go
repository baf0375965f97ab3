package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A curve is the accuracy of one network in percent, the mean of its seeds, at each percentage of
// zeros.
type curve struct {
	name            string
	zeros, accuracy []float64
}

var (
	// header is what the table is told by, wherever it stands, and zeros the percentage of each
	// column after the seed.
	header = []string{"", "seed", "dense", "50 %", "70 %", "80 %", "90 %", "95 %"}
	zeros  = []float64{0, 50, 70, 80, 90, 95}
	// names are the rows that are drawn. What follows in brackets in the table is no part of the
	// name.
	names = []string{"SGD", "CrAM+-Multi, ρ = 0.2"}
)

const (
	seeds    = 2
	rounding = 0.0101 // how far a mean may be from that of its seeds, all written with two digits
)

var (
	dashes = regexp.MustCompile(`^:?-+:?$`)
	// percent is a cell: the accuracy of a seed, behind it in brackets that without tuning, or a
	// mean.
	percent = regexp.MustCompile(`^(?:\d+\.\d\d(?: \(\d+\.\d\d\))?|\*\d+\.\d\d\*)$`)
)

// A row is one line of the table.
type row struct {
	line  int // in the file, from 1
	cells []string
}

// parse returns the curves of the names, in that order, from the table in a Markdown document that
// has the header.
func parse(doc string) ([]curve, error) {
	rows, err := table(doc)
	if err != nil {
		return nil, err
	}
	curves := make([]curve, len(names))
	for i, name := range names {
		accuracy, err := means(rows, name)
		if err != nil {
			return nil, err
		}
		curves[i] = curve{name, zeros, accuracy}
	}
	return curves, nil
}

// table returns the rows below the header and its line of dashes, each as wide as the header.
func table(doc string) ([]row, error) {
	var found []int
	lines := strings.Split(doc, "\n")
	for i, line := range lines {
		if slices.Equal(split(line), header) {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("want one table with the header %q, got %d", header, len(found))
	}
	var rows []row
	for i := found[0] + 1; i < len(lines); i++ {
		cells := split(lines[i])
		if cells == nil {
			break
		}
		if len(cells) != len(header) {
			return nil, fmt.Errorf("line %d: want %d cells, got %d", i+1, len(header), len(cells))
		}
		rows = append(rows, row{i + 1, cells})
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("line %d: want the table to go on below its header, got no row", found[0]+1)
	}
	for _, cell := range rows[0].cells {
		if !dashes.MatchString(cell) {
			return nil, fmt.Errorf("line %d: want dashes below the header, got %q", rows[0].line, cell)
		}
	}
	return rows[1:], nil
}

// split returns the cells of a line of a table, nil of any other line.
func split(line string) []string {
	line = strings.TrimSpace(line)
	if len(line) < 2 || line[0] != '|' || line[len(line)-1] != '|' {
		return nil
	}
	cells := strings.Split(line[1:len(line)-1], "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// means returns the row *mean* of the network called name, which must be the mean of the rows above
// it, one for each seed.
func means(rows []row, name string) ([]float64, error) {
	var found []int
	for i, r := range rows {
		if label, _, _ := strings.Cut(r.cells[0], " ("); label == name {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("want one row called %s, got %d", name, len(found))
	}
	group := rows[found[0]:]
	if len(group) <= seeds {
		return nil, fmt.Errorf("%s: want rows for %d seeds and *mean*, got %d rows", name, seeds, len(group))
	}
	sums := make([]float64, len(zeros))
	for i, r := range group[:seeds] {
		if i > 0 && r.cells[0] != "" {
			return nil, fmt.Errorf("line %d: want a row for another seed of %s, got %q", r.line, name, r.cells[0])
		}
		if _, err := strconv.Atoi(r.cells[1]); err != nil {
			return nil, fmt.Errorf("line %d: want the number of a seed, got %q", r.line, r.cells[1])
		}
		accuracy, err := numbers(r)
		if err != nil {
			return nil, err
		}
		for j, v := range accuracy {
			sums[j] += v
		}
	}
	last := group[seeds]
	if last.cells[0] != "*mean*" {
		return nil, fmt.Errorf("line %d: want *mean* of %d seeds of %s, got %q",
			last.line, seeds, name, last.cells[0])
	}
	accuracy, err := numbers(last)
	if err != nil {
		return nil, err
	}
	for j, v := range accuracy {
		if want := sums[j] / seeds; math.Abs(v-want) > rounding {
			return nil, fmt.Errorf("line %d, %s: want %.3f, the mean of the rows above, got %.2f",
				last.line, header[len(header)-len(zeros)+j], want, v)
		}
	}
	return accuracy, nil
}

// numbers returns the accuracies in a row.
func numbers(r row) ([]float64, error) {
	var accuracy []float64
	for _, cell := range r.cells[len(r.cells)-len(zeros):] {
		if !percent.MatchString(cell) {
			return nil, fmt.Errorf("line %d: want an accuracy like 84.80 or 84.79 (82.61), got %q", r.line, cell)
		}
		digits, _, _ := strings.Cut(strings.Trim(cell, "*"), " ")
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || v > 100 {
			return nil, fmt.Errorf("line %d: want at most 100 percent, got %q", r.line, cell)
		}
		accuracy = append(accuracy, v)
	}
	return accuracy, nil
}
