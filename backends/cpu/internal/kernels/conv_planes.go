package kernels

import (
	"cmp"
	"slices"
)

// convPlanes is the layout of an image in scratch, for the inner loops: padded with zeros, and
// split into one plane for each block and stride phase. Phase (a, b) contains the rows a,
// a+StrideH, … and the columns b, b+StrideW, … of the padded image. With r and q for a row and a
// column of a plane:
//
//	plane[block][phase (a,b)][r][q] = image[block][r·StrideH + a - top][q·StrideW + b - left]
//
// and zero outside the image. Tap (i, j) of output pixel (y, x) reads
//
//	phase (i mod StrideH, j mod StrideW),  r = y + i/StrideH,  q = x + j/StrideW
//
// so consecutive output pixels read consecutive plane pixels, and a tap is a constant offset:
//
//	StrideW = 1, left = 1                     StrideW = 2, left = 1
//
//	image          x0 x1 x2 x3 x4             image          x0 x1 x2 x3 x4
//	plane        0 x0 x1 x2 x3 x4 0           phase b=0    0 x1 x3 0
//	                                          phase b=1   x0 x2 x4
//
// There are planes for the phases that taps read only. Scratch contains the plane rows that a strip
// of output rows reads.
type convPlanes struct {
	height, width    int // of the image
	blocks           int // of 16 channels; single channels of a planar image
	unit             int // float32 values of a pixel: 16; 1 in a planar image
	strideH, strideW int
	top, left        int // zero padding
	rows, cols       int // of a plane
	phases           []convPhase
	stripRows        int  // plane rows in scratch
	inPlace          bool // the image is the only phase, and is not copied
}

// convPhase is a phase: the remainders of the taps that read it.
type convPhase struct{ row, col int }

// phaseLen returns the number of elements of one plane in scratch.
func (p *convPlanes) phaseLen() int {
	if p.inPlace {
		return p.height * p.width * p.unit
	}
	return p.stripRows * p.cols * p.unit
}

// blockLen returns the number of elements of all planes of one block in scratch.
func (p *convPlanes) blockLen() int { return p.phaseLen() * len(p.phases) }

// len returns the length of scratch.
func (p *convPlanes) len() int {
	if p.inPlace {
		return 0
	}
	return p.blockLen() * p.blocks
}

// phase returns the index of a phase. It adds the phase if it is new.
func (p *convPlanes) phase(row, col int) int {
	for i, ph := range p.phases {
		if ph == (convPhase{row, col}) {
			return i
		}
	}
	p.phases = append(p.phases, convPhase{row, col})
	return len(p.phases) - 1
}

// fill writes the plane rows r0 ≤ r < r1 of the blocks b0 ≤ b < b1 of one image to scratch. Each
// plane in scratch begins with row r0.
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

// convInside returns the first plane column q, 0 ≤ q < cols, whose image column q·stride + phase -
// pad is in 0 to width-1, and the number of such columns. It serves rows in the same way.
func convInside(phase, stride, pad, width, cols int) (first, n int) {
	if pad > phase {
		first = (pad - phase + stride - 1) / stride
	}
	last := width - 1 + pad - phase // the largest q·stride
	if last < 0 {
		return 0, 0
	}
	n = min(last/stride+1, cols) - first
	if n <= 0 {
		return 0, 0
	}
	return first, n
}

// fillRowsPortable writes rows to dst, each with left zero pixels, n pixels of src and right zero
// pixels. Pixel q of row r is at src[r·srcRow + q·pitch].
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

// fillPlanar does the same with pixels of one value.
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

// convTap is tap (i, j) of the kernel. Result pixel (y, x) reads plane pixel (y+shiftY, x+shiftX)
// of the phase with that index.
type convTap struct {
	i, j           int
	phase          int
	shiftY, shiftX int
}

// offset returns the index in scratch of the pixel that a tap reads for result pixel (0, 0), in a
// block. For pixel (y, x) it is (y·cols + x)·unit more.
func (p *convPlanes) offset(block int, t convTap) int {
	return block*p.blockLen() + t.phase*p.phaseLen() + (t.shiftY*p.cols+t.shiftX)*p.unit
}

// sortTaps orders taps so that neighbours in a plane are consecutive.
func sortTaps(taps []convTap) {
	slices.SortFunc(taps, func(a, b convTap) int {
		return cmp.Or(a.phase-b.phase, a.shiftY-b.shiftY, a.shiftX-b.shiftX)
	})
}

// convRun is a run: length taps that are neighbours in a row of a plane, the first of them with the
// index tap.
type convRun struct{ tap, length int }

// convRuns cuts sorted taps into runs. It cuts more than longest neighbours into runs of nearly
// equal length.
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

// convStep is a run and possibly an extra tap at another offset, which is computed with the run.
// Without an extra tap, extra is the first tap of the run.
type convStep struct {
	convRun
	extra int
}

// convSteps returns a step for each run. With split it adds runs of one tap to steps of two taps,
// as their extra taps.
func convSteps(runs []convRun, split bool) []convStep {
	var steps []convStep
	for _, r := range runs {
		if r.length == 1 && split {
			free := slices.IndexFunc(steps, func(s convStep) bool { return s.length == 2 && !s.split() })
			if free >= 0 {
				steps[free].extra = r.tap
				continue
			}
		}
		steps = append(steps, convStep{r, r.tap})
	}
	return steps
}

// split reports whether the step has an extra tap.
func (s convStep) split() bool { return s.extra != s.tap }
