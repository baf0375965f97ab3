package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// convShapes covers square and odd kernels, strides with and without remainder, uneven padding,
// padded lanes, groups, planar input, rows that need several tiles and images that need several
// strips.
var convShapes = []ConvShape{
	{C: 16, H: 8, W: 8, O: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 1},
	{C: 1, H: 1, W: 1, O: 1, KH: 1, KW: 1, StrideH: 1, StrideW: 1, Groups: 1},
	{C: 5, H: 7, W: 9, O: 37, KH: 1, KW: 1, StrideH: 1, StrideW: 1, Groups: 1},
	{C: 37, H: 9, W: 31, O: 21, KH: 3, KW: 2, StrideH: 1, StrideW: 1, Top: 2, Right: 1, Groups: 1},
	{C: 32, H: 8, W: 8, O: 64, KH: 1, KW: 1, StrideH: 2, StrideW: 2, Groups: 1},
	{C: 32, H: 9, W: 8, O: 96, KH: 3, KW: 3, StrideH: 2, StrideW: 2, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 1},
	{C: 17, H: 11, W: 13, O: 20, KH: 5, KW: 4, StrideH: 3, StrideW: 2, Top: 2, Bottom: 3, Left: 1, Groups: 1},
	{C: 20, H: 5, W: 6, O: 18, KH: 1, KW: 2, StrideH: 3, StrideW: 4, Bottom: 2, Left: 5, Groups: 1},
	{C: 64, H: 40, W: 67, O: 6, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 1},
	{C: 80, H: 42, W: 19, O: 50, KH: 1, KW: 1, StrideH: 1, StrideW: 1, Groups: 1},
	{C: 64, H: 6, W: 5, O: 128, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 2},
	{C: 24, H: 6, W: 5, O: 12, KH: 3, KW: 3, StrideH: 2, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 4},
	{C: 40, H: 12, W: 9, O: 40, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 40},
	{C: 33, H: 12, W: 9, O: 33, KH: 5, KW: 3, StrideH: 2, StrideW: 2, Top: 2, Left: 1, Right: 1, Groups: 33},
	{C: 10, H: 7, W: 7, O: 20, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Groups: 10},
	{C: 3, H: 16, W: 32, O: 16, KH: 3, KW: 3, StrideH: 1, StrideW: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Groups: 1, Planar: true},
	{C: 3, H: 30, W: 34, O: 33, KH: 7, KW: 7, StrideH: 2, StrideW: 2, Top: 3, Bottom: 3, Left: 3, Right: 3, Groups: 1, Planar: true},
	{C: 1, H: 9, W: 11, O: 8, KH: 5, KW: 9, StrideH: 1, StrideW: 1, Groups: 1, Planar: true},
	{C: 4, H: 6, W: 7, O: 24, KH: 1, KW: 1, StrideH: 1, StrideW: 1, Groups: 1, Planar: true},
}

func (s ConvShape) name() string {
	return fmt.Sprintf("%dx%dx%d-%d-k%dx%d-s%dx%d-p%d.%d.%d.%d-g%d-planar=%v",
		s.C, s.H, s.W, s.O, s.KH, s.KW, s.StrideH, s.StrideW, s.Top, s.Bottom, s.Left, s.Right, s.Groups, s.Planar)
}

// convCase is row-major arrays and their results in float64, computed by the formulas of conv.go.
type convCase struct {
	s         ConvShape
	n         int
	x, w, dy  []float32 // NCHW, OIHW, NCHW
	y, dx, dw []float64
	// the sums of the magnitudes of the terms: tolerances are relative to them
	yMag, dxMag, dwMag []float64
}

func newConvCase(s ConvShape, n int) *convCase {
	rng := rand.New(rand.NewPCG(1, uint64(s.C*31+s.KW)))
	random := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = rng.Float32()*2 - 1
		}
		return v
	}
	c := &convCase{s: s, n: n, x: random(n * s.C * s.H * s.W), w: random(s.WeightLen()), dy: random(n * s.O * s.OutH() * s.OutW())}
	c.y, c.yMag = make([]float64, len(c.dy)), make([]float64, len(c.dy))
	c.dx, c.dxMag = make([]float64, len(c.x)), make([]float64, len(c.x))
	c.dw, c.dwMag = make([]float64, len(c.w)), make([]float64, len(c.w))
	ci, oi := s.C/s.Groups, s.O/s.Groups
	add := func(sum, mag []float64, i int, a, b float32) {
		sum[i] += float64(a) * float64(b)
		mag[i] += math.Abs(float64(a) * float64(b))
	}
	for im := range n {
		for o := range s.O {
			for oy := range s.OutH() {
				for ox := range s.OutW() {
					yi := ((im*s.O+o)*s.OutH()+oy)*s.OutW() + ox
					for k := range ci {
						for i := range s.KH {
							for j := range s.KW {
								iy, ix := oy*s.StrideH+i-s.Top, ox*s.StrideW+j-s.Left
								if iy < 0 || iy >= s.H || ix < 0 || ix >= s.W {
									continue
								}
								xi := ((im*s.C+o/oi*ci+k)*s.H+iy)*s.W + ix
								wi := ((o*ci+k)*s.KH+i)*s.KW + j
								add(c.y, c.yMag, yi, c.w[wi], c.x[xi])
								add(c.dx, c.dxMag, xi, c.w[wi], c.dy[yi])
								add(c.dw, c.dwMag, wi, c.x[xi], c.dy[yi])
							}
						}
					}
				}
			}
		}
	}
	return c
}

// block returns x, [n, c, hw], in blocks of 16 channels.
func block(x []float32, n, c, hw int) []float32 {
	b := Floats(n * Blocks(c) * hw * 16)
	for i := range n {
		for ch := range c {
			for p := range hw {
				b[((i*Blocks(c)+ch/16)*hw+p)*16+ch%16] = x[(i*c+ch)*hw+p]
			}
		}
	}
	return b
}

// checkBlocked compares got, in blocks of 16 channels, with want, [n, c, hw], and fails if a padded
// lane is not zero. The tolerance is 8 rounding units times the sum of the magnitudes of the terms:
// more than the error of a sum in any order for random signs, and far less than a wrong term.
func checkBlocked(t *testing.T, what string, got []float32, want, mag []float64, n, c, hw int) {
	t.Helper()
	for i := range n {
		for ch := range Blocks(c) * 16 {
			for p := range hw {
				g := got[((i*Blocks(c)+ch/16)*hw+p)*16+ch%16]
				if ch >= c {
					if g != 0 {
						t.Fatalf("%s: image %d, pixel %d, padded lane %d is %g", what, i, p, ch, g)
					}
					continue
				}
				at := (i*c+ch)*hw + p
				checkNear(t, fmt.Sprintf("%s: image %d, channel %d, pixel %d", what, i, ch, p), g, want[at], mag[at])
			}
		}
	}
}

func checkNear(t *testing.T, what string, got float32, want, mag float64) {
	if d := math.Abs(float64(got) - want); !(d <= 8*mag/(1<<24)) {
		t.Helper()
		t.Fatalf("%s: got %g, want %g, off by %.3g of the sum of magnitudes", what, got, want, d/mag)
	}
}

// dirty returns n NaN: values that no result may depend on.
func dirty(n int) []float32 {
	v := Floats(n)
	for i := range v {
		v[i] = float32(math.NaN())
	}
	return v
}

func forEachConv(t *testing.T, f func(t *testing.T, isa InstructionSet, c *convCase)) {
	for _, s := range convShapes {
		c := newConvCase(s, 2)
		for _, isa := range instructionSets() {
			t.Run(s.name()+"/"+isa.String(), func(t *testing.T) { f(t, isa, c) })
		}
	}
}

func TestConvForward(t *testing.T) {
	forEachConv(t, func(t *testing.T, isa InstructionSet, c *convCase) {
		s := c.s
		f, err := isa.ConvForward(s)
		if err != nil {
			t.Fatal(err)
		}
		x := c.x
		if !s.Planar {
			x = block(c.x, c.n, s.C, s.H*s.W)
		}
		packed, y, split := dirty(f.PackedLen()), dirty(c.n*s.OutLen()), dirty(c.n*s.OutLen())
		f.Pack(packed, c.w)
		f.Compute(y, x, packed, nil, false, dirty(f.ScratchLen()), f.All(c.n))
		checkBlocked(t, "y", y, c.y, c.yMag, c.n, s.O, s.OutH()*s.OutW())

		for _, p := range splitConv(f.All(c.n)) {
			f.Compute(split, x, packed, nil, false, dirty(f.ScratchLen()), p)
		}
		checkSame(t, split, y)

		bias := Floats(Blocks(s.O) * 16)
		want := append([]float64(nil), c.y...)
		for o := range s.O {
			bias[o] = float32(o%7) - 3
		}
		hw := s.OutH() * s.OutW()
		for i := range want {
			want[i] = max(0, want[i]+float64(bias[i/hw%s.O]))
		}
		mag := make([]float64, len(want))
		for i := range mag {
			mag[i] = c.yMag[i] + 3
		}
		f.Compute(y, x, packed, bias, true, dirty(f.ScratchLen()), f.All(c.n))
		checkBlocked(t, "relu(y+bias)", y, want, mag, c.n, s.O, hw)
	})
}

func TestConvInputGrad(t *testing.T) {
	forEachConv(t, func(t *testing.T, isa InstructionSet, c *convCase) {
		s := c.s
		s.Planar = false
		g, err := isa.ConvInputGrad(s)
		if err != nil {
			t.Fatal(err)
		}
		dy := block(c.dy, c.n, s.O, s.OutH()*s.OutW())
		packed, dx, split := dirty(g.PackedLen()), dirty(c.n*s.InLen()), dirty(c.n*s.InLen())
		g.Pack(packed, c.w)
		g.Compute(dx, dy, packed, dirty(g.ScratchLen()), g.All(c.n))
		checkBlocked(t, "dx", dx, c.dx, c.dxMag, c.n, s.C, s.H*s.W)

		for _, p := range splitConv(g.All(c.n)) {
			g.Compute(split, dy, packed, dirty(g.ScratchLen()), p)
		}
		checkSame(t, split, dx)
	})
}

func TestConvWeightGrad(t *testing.T) {
	forEachConv(t, func(t *testing.T, isa InstructionSet, c *convCase) {
		s := c.s
		g, err := isa.ConvWeightGrad(s)
		if err != nil {
			t.Fatal(err)
		}
		x := c.x
		if !s.Planar {
			x = block(c.x, c.n, s.C, s.H*s.W)
		}
		dy := block(c.dy, c.n, s.O, s.OutH()*s.OutW())
		dw := weightGradByImage(isa, g, x, dy, c.n, dirty)
		for i := range dw {
			checkNear(t, fmt.Sprintf("dw[%d]", i), dw[i], c.dw[i], c.dwMag[i])
		}

		split, whole := dirty(g.PartialLen()), dirty(g.PartialLen())
		g.Compute(whole, x, dy, dirty(g.ScratchLen()), g.All(0, c.n))
		for p := range g.Panels() {
			part := g.All(0, c.n)
			part.P0, part.P1 = p, p+1
			g.Compute(split, x, dy, dirty(g.ScratchLen()), part)
		}
		checkSame(t, split, whole)
	})
}

// weightGradByImage returns dw as the sum of partial sums of one image each. It unpacks panel by
// panel.
func weightGradByImage(isa InstructionSet, g *ConvWeightGrad, x, dy []float32, n int, buffer func(n int) []float32) []float32 {
	sum, other, dw := buffer(g.PartialLen()), buffer(g.PartialLen()), buffer(g.Shape().WeightLen())
	g.Compute(sum, x, dy, buffer(g.ScratchLen()), g.All(0, 1))
	for i := 1; i < n; i++ {
		g.Compute(other, x, dy, buffer(g.ScratchLen()), g.All(i, i+1))
		for p := range g.Panels() {
			from, to := g.Panel(p)
			isa.Add(sum[from:to], sum[from:to], other[from:to])
		}
	}
	for p := range g.Panels() {
		g.Unpack(dw, sum, ConvPart{P0: p, P1: p + 1})
	}
	return dw
}

// splitConv divides a part into unequal parts, by images, rows and panels.
func splitConv(all ConvPart) []ConvPart {
	cut := func(n int) [][2]int {
		if n == 1 {
			return [][2]int{{0, 1}}
		}
		return [][2]int{{0, 1}, {1, (n + 2) / 2}, {(n + 2) / 2, n}}
	}
	var parts []ConvPart
	for _, n := range cut(all.N1) {
		for _, y := range cut(all.Y1) {
			for _, p := range cut(all.P1) {
				parts = append(parts, ConvPart{N0: n[0], N1: n[1], Y0: y[0], Y1: y[1], P0: p[0], P1: p[1]})
			}
		}
	}
	return parts
}

func checkSame(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("computed in parts: element %d is %g, in one piece %g", i, got[i], want[i])
		}
	}
}

func TestConvShapeErrors(t *testing.T) {
	good := convShapes[0]
	for name, change := range map[string]func(*ConvShape){
		"no channels":    func(s *ConvShape) { s.C = 0 },
		"stride 0":       func(s *ConvShape) { s.StrideW = 0 },
		"pad below 0":    func(s *ConvShape) { s.Left = -1 },
		"groups":         func(s *ConvShape) { s.Groups = 3 },
		"kernel too big": func(s *ConvShape) { s.KH = 11 },
		"planar groups":  func(s *ConvShape) { s.Planar, s.Groups = true, 2 },
	} {
		s := good
		change(&s)
		if _, err := Portable.ConvForward(s); err == nil {
			t.Errorf("%s: forward accepted %+v", name, s)
		}
		if _, err := Portable.ConvInputGrad(s); err == nil {
			t.Errorf("%s: input gradient accepted %+v", name, s)
		}
		if _, err := Portable.ConvWeightGrad(s); err == nil {
			t.Errorf("%s: weight gradient accepted %+v", name, s)
		}
	}
	planar := good
	planar.Planar = true
	if _, err := Portable.ConvInputGrad(planar); err == nil {
		t.Error("input gradient accepted planar input")
	}
}

// TestConvGuards runs every pass on buffers that end right before an inaccessible page, and on
// buffers that begin right after one.
func TestConvGuards(t *testing.T) {
	for _, s := range convShapes {
		for _, isa := range instructionSets()[1:] {
			for _, end := range []bool{false, true} {
				buffer := func(n int) []float32 { return guarded(t, n, end) }
				x, y := buffer(2*s.InLen()), buffer(2*s.OutLen())
				f, err := isa.ConvForward(s)
				if err != nil {
					t.Fatal(err)
				}
				packed := buffer(f.PackedLen())
				f.Pack(packed, buffer(s.WeightLen()))
				f.Compute(y, x, packed, buffer(Blocks(s.O)*16), true, buffer(f.ScratchLen()), f.All(2))

				w, err := isa.ConvWeightGrad(s)
				if err != nil {
					t.Fatal(err)
				}
				weightGradByImage(isa, w, x, y, 2, buffer)

				s := s
				s.Planar = false
				g, err := isa.ConvInputGrad(s)
				if err != nil {
					t.Fatal(err)
				}
				packed = buffer(g.PackedLen())
				g.Pack(packed, buffer(s.WeightLen()))
				g.Compute(buffer(2*s.InLen()), y, packed, buffer(g.ScratchLen()), g.All(2))
			}
		}
	}
}

// TestConvSizes covers every width from 1 to 67, so that every kernel and every remainder of every
// tile occurs.
func TestConvSizes(t *testing.T) {
	for w := 1; w <= 67; w++ {
		for _, s := range []ConvShape{
			{C: 16, H: 2, W: w, O: 16, KH: 1, KW: 3, StrideH: 1, StrideW: 1, Left: 1, Right: 1, Groups: 1},
			{C: 4, H: 1, W: w, O: 32, KH: 1, KW: 3, StrideH: 1, StrideW: 2, Left: 1, Right: 1, Groups: 1},
			{C: 6, H: 1, W: w, O: 64, KH: 1, KW: 1, StrideH: 1, StrideW: 1, Groups: 1},
			{C: 2, H: 1, W: w, O: 32, KH: 1, KW: 1 + w%9, StrideH: 1, StrideW: 1 + w%3, Left: 5, Right: 4, Groups: 1, Planar: true},
			{C: 16, H: 2, W: w, O: 16, KH: 1, KW: 1 + w%9, StrideH: 1, StrideW: 1 + w%2, Left: 4, Right: 4, Groups: 16},
		} {
			c := newConvCase(s, 1)
			for _, isa := range instructionSets() {
				checkConv(t, isa, c)
			}
		}
	}
}

// checkConv compares all passes with their formulas.
func checkConv(t *testing.T, isa InstructionSet, c *convCase) {
	t.Helper()
	s := c.s
	what := func(pass string) string { return fmt.Sprintf("%s %s %s", s.name(), isa, pass) }
	blocked := block(c.x, c.n, s.C, s.H*s.W)
	x, dy := blocked, block(c.dy, c.n, s.O, s.OutH()*s.OutW())
	if s.Planar {
		x = c.x
	}
	f, err := isa.ConvForward(s)
	if err != nil {
		t.Fatal(err)
	}
	packed, y := dirty(f.PackedLen()), dirty(c.n*s.OutLen())
	f.Pack(packed, c.w)
	f.Compute(y, x, packed, nil, false, dirty(f.ScratchLen()), f.All(c.n))
	checkBlocked(t, what("y"), y, c.y, c.yMag, c.n, s.O, s.OutH()*s.OutW())

	g, err := isa.ConvWeightGrad(s)
	if err != nil {
		t.Fatal(err)
	}
	partial, dw := dirty(g.PartialLen()), dirty(len(c.w))
	g.Compute(partial, x, dy, dirty(g.ScratchLen()), g.All(0, c.n))
	g.Unpack(dw, partial, g.All(0, 0))
	for i := range dw {
		checkNear(t, fmt.Sprintf("%s[%d]", what("dw"), i), dw[i], c.dw[i], c.dwMag[i])
	}

	s.Planar = false
	d, err := isa.ConvInputGrad(s)
	if err != nil {
		t.Fatal(err)
	}
	packed, dx := dirty(d.PackedLen()), dirty(c.n*s.InLen())
	d.Pack(packed, c.w)
	d.Compute(dx, dy, packed, dirty(d.ScratchLen()), d.All(c.n))
	checkBlocked(t, what("dx"), dx, c.dx, c.dxMag, c.n, s.C, s.H*s.W)
}

// TestConvAllocs tests that a convolution allocates nothing.
func TestConvAllocs(t *testing.T) {
	for _, s := range []ConvShape{convShapes[0], convShapes[5], convShapes[12], convShapes[16]} {
		for _, isa := range instructionSets() {
			f, _ := isa.ConvForward(s)
			w, _ := isa.ConvWeightGrad(s)
			x, y := Floats(2*s.InLen()), Floats(2*s.OutLen())
			packed, scratch := Floats(f.PackedLen()), Floats(max(f.ScratchLen(), w.ScratchLen()))
			partial, dw := Floats(w.PartialLen()), Floats(s.WeightLen())
			if n := testing.AllocsPerRun(2, func() {
				f.Pack(packed, dw)
				f.Compute(y, x, packed, nil, false, scratch, f.All(2))
				w.Compute(partial, x, y, scratch, w.All(0, 2))
				w.Unpack(dw, partial, w.All(0, 0))
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations", s.name(), isa, n)
			}
		}
	}
}
