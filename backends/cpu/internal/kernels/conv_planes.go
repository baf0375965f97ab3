package kernels

import (
	"cmp"
	"slices"
)

// convPlanes says how an image is laid out in scratch for the inner loops: padded with zeros, and split into stride phases. Phase (a, b) holds
// every StrideH-th row from a on and every StrideW-th column from b on of the padded image:
//
//	plane[block][phase][r][q] = image[block][r·StrideH + a - top][q·StrideW + b - left]     or zero outside the image
//
// so that tap (i, j) of output pixel (y, x) is found in phase (i mod StrideH, j mod StrideW) at (y + i/StrideH, x + j/StrideW), and
// consecutive output pixels read consecutive plane pixels. Only the phases that some tap reads exist.
//
// Scratch holds the rows that a strip of output needs, and strips are short enough to stay in the second-level cache.
type convPlanes struct {
	height, width    int // of the image
	blocks           int // of 16 channels, or single channels of a planar image
	unit             int // float32 values a pixel: 16, or 1 for a planar image
	strideH, strideW int
	top, left        int
	rows, cols       int // of a whole phase
	phases           []convPhase
	stripRows        int  // plane rows that scratch holds
	inPlace          bool // the image itself serves as the one phase, without a copy
}

type convPhase struct{ row, col int }

// phaseLen returns the elements of one phase of one block in scratch.
func (p *convPlanes) phaseLen() int {
	if p.inPlace {
		return p.height * p.width * p.unit
	}
	return p.stripRows * p.cols * p.unit
}

// blockLen returns the elements of all phases of one block in scratch.
func (p *convPlanes) blockLen() int { return p.phaseLen() * len(p.phases) }

// len returns the elements that scratch needs.
func (p *convPlanes) len() int {
	if p.inPlace {
		return 0
	}
	return p.blockLen() * p.blocks
}

// phase returns the index of a phase, adding it when it is new.
func (p *convPlanes) phase(row, col int) int {
	for i, ph := range p.phases {
		if ph == (convPhase{row, col}) {
			return i
		}
	}
	p.phases = append(p.phases, convPhase{row, col})
	return len(p.phases) - 1
}

// fill copies plane rows r0 ≤ r < r1 of the blocks b0 ≤ b < b1 of one image to scratch, where row r0 comes first.
func (p *convPlanes) fill(isa InstructionSet, scratch, image []float32, b0, b1, r0, r1 int) {
	line := p.cols * p.unit
	for b := b0; b < b1; b++ {
		source := image[b*p.height*p.width*p.unit:][:p.height*p.width*p.unit]
		for i, ph := range p.phases {
			dst := scratch[b*p.blockLen()+i*p.phaseLen():][:(r1-r0)*line]
			left, n := convInside(ph.col, p.strideW, p.left, p.width, p.cols)
			top, rows := convInside(ph.row, p.strideH, p.top, p.height, r1)
			first, end := max(top, r0), min(top+rows, r1)
			if n == 0 || first >= end {
				clear(dst)
				continue
			}
			clear(dst[:(first-r0)*line])
			src := source[((first*p.strideH+ph.row-p.top)*p.width+left*p.strideW+ph.col-p.left)*p.unit:]
			inside := dst[(first-r0)*line:]
			if p.unit == Block {
				isa.fillRows(inside, src, end-first, left, n, p.cols-left-n, p.strideW*Block, p.strideH*p.width*Block)
			} else {
				fillPlanar(inside, src, end-first, left, n, p.cols-left-n, p.strideW, p.strideH*p.width)
			}
			clear(dst[(end-r0)*line:])
		}
	}
}

// convInside returns the first plane column whose image column q·stride + phase - pad lies inside, and how many do.
func convInside(phase, stride, pad, width, cols int) (first, n int) {
	if pad > phase {
		first = (pad - phase + stride - 1) / stride
	}
	last := width - 1 + pad - phase // of q·stride
	if last < 0 {
		return 0, 0
	}
	n = min(last/stride+1, cols) - first
	if n <= 0 {
		return 0, 0
	}
	return first, n
}

// fillRowsPortable writes rows of left zero pixels, n pixels of src that lie pitch elements apart, and right zero pixels. The rows of src lie srcRow apart.
func fillRowsPortable(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	for r := range rows {
		row := dst[r*(left+n+right)*Block:][:(left+n+right)*Block]
		clear(row[:left*Block])
		for q := range n {
			copy(row[(left+q)*Block:][:Block], src[r*srcRow+q*pitch:])
		}
		clear(row[(left+n)*Block:])
	}
}

// fillPlanar does the same with pixels of a single value.
func fillPlanar(dst, src []float32, rows, left, n, right, pitch, srcRow int) {
	for r := range rows {
		row := dst[r*(left+n+right):][:left+n+right]
		clear(row[:left])
		if pitch == 1 {
			copy(row[left:], src[r*srcRow:][:n])
		} else {
			from := src[r*srcRow:]
			for q := range row[left : left+n] {
				row[left+q] = from[q*pitch]
			}
		}
		clear(row[left+n:])
	}
}

// convTap is one tap: weight (i, j), found at a shift in a phase of the planes.
type convTap struct {
	i, j           int
	phase          int
	shiftY, shiftX int
}

// offset returns the distance in scratch from a plane pixel to the one that a tap of a block reads.
func (p *convPlanes) offset(block int, t convTap) int {
	return block*p.blockLen() + t.phase*p.phaseLen() + (t.shiftY*p.cols+t.shiftX)*p.unit
}

// sortTaps orders taps so that those that are neighbours in a plane follow each other.
func sortTaps(taps []convTap) {
	slices.SortFunc(taps, func(a, b convTap) int {
		return cmp.Or(a.phase-b.phase, a.shiftY-b.shiftY, a.shiftX-b.shiftX)
	})
}

// convRun is taps that are neighbours in a plane: length of them, from tap on.
type convRun struct{ tap, length int }

// convRuns cuts sorted taps into runs of nearly equal length, at most longest.
func convRuns(taps []convTap, longest int) []convRun {
	var runs []convRun
	for first := 0; first < len(taps); {
		end := first + 1
		for end < len(taps) && taps[end].phase == taps[first].phase && taps[end].shiftY == taps[first].shiftY &&
			taps[end].shiftX == taps[end-1].shiftX+1 {
			end++
		}
		pieces := (end - first + longest - 1) / longest
		for i := range pieces {
			a, b := (end-first)*i/pieces, (end-first)*(i+1)/pieces
			runs = append(runs, convRun{tap: first + a, length: b - a})
		}
		first = end
	}
	return runs
}

// convStep is a run of taps, and a single tap, further on, that is computed with it; itself where there is none.
type convStep struct {
	convRun
	extra int
}

// convSteps makes steps of runs: with pairs, every run of 2 taps has a single tap with it, as far as there are any.
func convSteps(runs []convRun, pairs bool) []convStep {
	var steps []convStep
	for _, r := range runs {
		if r.length == 1 && pairs {
			free := slices.IndexFunc(steps, func(s convStep) bool { return s.length == 2 && !s.pair() })
			if free >= 0 {
				steps[free].extra = r.tap
				continue
			}
		}
		steps = append(steps, convStep{r, r.tap})
	}
	return steps
}

// pair reports whether there is a single tap with the run.
func (s convStep) pair() bool { return s.extra != s.tap }
