package kernels

import (
	"fmt"
	"testing"
)

func TestBlockedOrder(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, s := range [][3]int{{1, 1, 1}, {2, 3, 9}, {3, 16, 4}, {2, 17, 5}, {2, 40, 67}, {1, 64, 64}} {
			n, c, pixels := s[0], s[1], s[2]
			what := fmt.Sprintf("n=%d c=%d pixels=%d", n, c, pixels)
			src := random(1, n*c*pixels)
			want := make([]float32, n*Blocks(c)*pixels*Block)
			for i := range src {
				img, ch, p := i/(c*pixels), i/pixels%c, i%pixels
				want[((img*Blocks(c)+ch/16)*pixels+p)*16+ch%16] = src[i]
			}
			got, back := random(2, len(want)), random(3, len(src))
			for i := range n {
				isa.ToBlocked(got, src, c, pixels, i, i+1)
			}
			sameBits(t, what, got, want)
			isa.FromBlocked(back, got, c, pixels, 0, n)
			sameBits(t, what+" and back", back, src)
		}
	})
}

func TestTranspose(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for rows := range 36 {
			for cols := range 36 {
				lds, ldd := cols+3, rows+1
				src, dst := random(1, max(0, rows*lds-3)), make([]float32, max(0, cols*ldd-1))
				isa.Transpose(dst, ldd, src, lds, rows, cols)
				for j := range cols {
					for i := range rows {
						if dst[j*ldd+i] != src[i*lds+j] {
							t.Fatalf("%dx%d: element (%d,%d) is %v, want %v", rows, cols, i, j, dst[j*ldd+i], src[i*lds+j])
						}
					}
					if j+1 < cols && dst[j*ldd+rows] != 0 {
						t.Fatalf("%dx%d: wrote behind row %d", rows, cols, j)
					}
				}
			}
		}
	})
}

func TestTransposeStaysInside(t *testing.T) {
	eachInstructionSet(t, func(t *testing.T, isa InstructionSet) {
		for _, end := range []bool{false, true} {
			for rows := 1; rows < 20; rows++ {
				for cols := 1; cols < 20; cols++ {
					isa.Transpose(guarded(t, rows*cols, end), rows, guarded(t, rows*cols, end), cols, rows, cols)
				}
			}
		}
	})
}

func TestCopy(t *testing.T) {
	src := make([]int32, 2*3*4*5)
	for i := range src {
		src[i] = int32(i)
	}
	for _, tc := range []struct {
		name                 string
		dst, src, shape      []int
		dstOffset, srcOffset int
		size                 int
	}{
		{"scalar", nil, nil, nil, 0, 7, 1},
		{"whole", []int{60, 20, 5, 1}, []int{60, 20, 5, 1}, []int{2, 3, 4, 5}, 0, 0, 120},
		{"empty", []int{0, 1}, []int{0, 1}, []int{3, 0}, 0, 0, 1},
		{"transpose", []int{1, 2, 6, 24}, []int{60, 20, 5, 1}, []int{2, 3, 4, 5}, 0, 0, 120},
		{"slice", []int{6, 3, 1}, []int{20, 10, 2}, []int{2, 2, 3}, 0, 21, 12},
		{"pad", []int{7, 1}, []int{5, 1}, []int{4, 5}, 8, 0, 42},
		{"broadcast", []int{20, 5, 1}, []int{0, 1, 0}, []int{3, 4, 5}, 0, 2, 60},
		{"rank 6", []int{1, 2, 4, 8, 16, 32}, []int{32, 16, 8, 4, 2, 1}, []int{2, 2, 2, 2, 2, 2}, 0, 0, 64},
	} {
		got, want := make([]int32, tc.size), make([]int32, tc.size)
		total := 1
		for _, s := range tc.shape {
			total *= s
		}
		for i := range total {
			d, s, rest := tc.dstOffset, tc.srcOffset, i
			for k := len(tc.shape) - 1; k >= 0; k-- {
				d += rest % tc.shape[k] * tc.dst[k]
				s += rest % tc.shape[k] * tc.src[k]
				rest /= tc.shape[k]
			}
			want[d] = src[s]
		}
		Copy(got[tc.dstOffset:], tc.dst, src[tc.srcOffset:], tc.src, tc.shape)
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: element %d is %d, want %d", tc.name, i, got[i], want[i])
				break
			}
		}
	}
}
