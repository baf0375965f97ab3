package data

import "fmt"

// Shapes returns n drawn images of shape [3,24,24] in 10 classes: a disc, a ring, a square, … of random colour, size,
// place and tilt on a shaded ground, under clutter and noise. Nothing is downloaded or stored: image i is drawn when it
// is read, in integers only, so that a seed gives the same pixels on every platform. Its class is i modulo 10.
//
// The set is made for quick experiments with compression: a convolutional network of some 15,000 weights learns it from
// 6,000 images to about 97 % in six epochs, and when it is then pruned one-shot by 90 %, it drops below half of
// that if SGD has trained it, by a few points if CrAM+ has. Give the training and the test split different seeds.
// It is an error if n is below one.
func Shapes(n int, seed uint64) (Set, error) {
	if n < 1 {
		return nil, fmt.Errorf("data: Shapes of %d images: expected at least 1", n)
	}
	return &shapes{n: n, seed: seed}, nil
}

// openShapes opens the splits that the name "shapes" stands for.
func openShapes(_ string, split Split) (Set, error) {
	if err := split.check(); err != nil {
		return nil, err
	}
	if split == Test {
		return Shapes(2000, 1)
	}
	return Shapes(6000, 0)
}

const (
	shapesSide = 24 // pixels
	subpixels  = 4  // samples along each side of a pixel
	figureUnit = 64 // half the side of the square that figures are defined on
)

type shapes struct {
	n    int
	seed uint64
}

func (s *shapes) Len() int     { return s.n }
func (s *shapes) Shape() []int { return []int{3, shapesSide, shapesSide} }

func (s *shapes) Classes() []string {
	names := make([]string, len(figures))
	for i, f := range figures {
		names[i] = f.name
	}
	return names
}

func (s *shapes) Read(i int, dst []float32) (int, error) {
	if err := checkRead(i, s.n, len(dst), 3*shapesSide*shapesSide); err != nil {
		return 0, err
	}
	label := i % len(figures)
	var c canvas
	c.draw(figures[label].covers, NewRandom(streamShapes, s.seed, uint64(i)))
	scalePixels(dst, c.pixels[:])
	return label, nil
}

// figures are the classes: covers tells whether a figure covers the point (u, v), where the figure spans -64 to 64 and v
// points down.
var figures = [...]struct {
	name   string
	covers func(u, v int) bool
}{
	{"disc", func(u, v int) bool { return u*u+v*v <= 54*54 }},
	{"ring", func(u, v int) bool { d := u*u + v*v; return 32*32 <= d && d <= 58*58 }},
	{"square", func(u, v int) bool { return max(abs(u), abs(v)) <= 48 }},
	{"frame", func(u, v int) bool { d := max(abs(u), abs(v)); return 28 <= d && d <= 52 }},
	{"triangle", func(u, v int) bool { return v <= 48 && 2*abs(u) <= v+60 }},
	{"plus", func(u, v int) bool { return min(abs(u), abs(v)) <= 14 && max(abs(u), abs(v)) <= 58 }},
	{"cross", func(u, v int) bool { return min(abs(u+v), abs(u-v)) <= 20 && max(abs(u), abs(v)) <= 50 }},
	{"diamond", func(u, v int) bool { return abs(u)+abs(v) <= 62 }},
	{"bars", func(u, v int) bool { return abs(u) <= 54 && 16 <= abs(v) && abs(v) <= 46 }},
	{"crescent", func(u, v int) bool { return u*u+v*v <= 58*58 && (u-28)*(u-28)+v*v >= 46*46 }},
}

// canvas is an image being drawn: the planes of red, green and blue.
type canvas struct {
	pixels [3 * shapesSide * shapesSide]byte
}

type colour [3]int // each from 0 to 255

func (c *canvas) draw(covers func(u, v int) bool, r *Random) {
	ground := colour{r.IntN(128), r.IntN(128), r.IntN(128)}
	c.shade(ground, r)
	for range 2 + r.IntN(3) {
		c.stroke(r)
	}
	c.figure(covers, contrast(ground, r), r)
	for range 1 + r.IntN(2) {
		c.stroke(r)
	}
	c.noise(r)
}

// shade fills the canvas with the ground colour and a slope of brightness across it.
func (c *canvas) shade(ground colour, r *Random) {
	dx, dy := r.IntN(7)-3, r.IntN(7)-3 // brightness a pixel
	for plane, base := range ground {
		for y := range shapesSide {
			for x := range shapesSide {
				c.set(plane, x, y, base+dx*(x-shapesSide/2)+dy*(y-shapesSide/2))
			}
		}
	}
}

// stroke draws a short line of clutter, one pixel wide.
func (c *canvas) stroke(r *Random) {
	ink := colour{r.IntN(192), r.IntN(192), r.IntN(192)}
	x, y := r.IntN(shapesSide), r.IntN(shapesSide)
	dx, dy := r.IntN(3)-1, r.IntN(3)-1
	for range 3 + r.IntN(7) {
		c.blend(x, y, ink, 3, 4)
		x, y = x+dx, y+dy
	}
}

// figure draws the class's figure: radius 6 to 10 pixels, wholly on the canvas, tilted by up to 14 degrees.
func (c *canvas) figure(covers func(u, v int) bool, ink colour, r *Random) {
	const side = shapesSide * subpixels
	radius := 6*subpixels + r.IntN(4*subpixels+1)
	centreX := radius + r.IntN(side-2*radius+1)
	centreY := radius + r.IntN(side-2*radius+1)
	// A rotation by the angle whose half has the tangent t/32: cos = (32²−t²)/(32²+t²), sin = 64t/(32²+t²).
	t := r.IntN(9) - 4
	cos, sin, norm := 32*32-t*t, 64*t, 32*32+t*t
	scale := figureUnit << 20 / (radius * norm) // to figureUnit, in units of 2⁻²⁰
	reach := radius + subpixels                 // within its tilts a figure stays inside its radius; one pixel for rounding
	for y := max(centreY-reach, 0) / subpixels; y < min(centreY+reach, side)/subpixels; y++ {
		for x := max(centreX-reach, 0) / subpixels; x < min(centreX+reach, side)/subpixels; x++ {
			covered := 0
			for k := range subpixels * subpixels {
				dx := x*subpixels + k%subpixels - centreX
				dy := y*subpixels + k/subpixels - centreY
				u := (dx*cos + dy*sin) * scale >> 20
				v := (dy*cos - dx*sin) * scale >> 20
				if covers(u, v) {
					covered++
				}
			}
			c.blend(x, y, ink, covered, subpixels*subpixels)
		}
	}
}

// noise adds to every value a sum of four uniform numbers, near enough a normal one.
func (c *canvas) noise(r *Random) {
	const spread = 24 // each is in [-spread, spread]: a standard deviation of about 28
	for k, v := range c.pixels {
		bits, sum := r.Uint64(), 0
		for range 4 {
			sum += int(bits&0xffff)*(2*spread+1)>>16 - spread
			bits >>= 16
		}
		c.pixels[k] = clampByte(int(v) + sum)
	}
}

// blend moves a pixel part/whole of the way to ink. Outside the canvas it does nothing.
func (c *canvas) blend(x, y int, ink colour, part, whole int) {
	if x < 0 || x >= shapesSide || y < 0 || y >= shapesSide {
		return
	}
	for plane, to := range ink {
		from := int(c.pixels[(plane*shapesSide+y)*shapesSide+x])
		c.set(plane, x, y, from+(to-from)*part/whole)
	}
}

func (c *canvas) set(plane, x, y, value int) {
	c.pixels[(plane*shapesSide+y)*shapesSide+x] = clampByte(value)
}

// contrast returns a colour that is brighter than ground by 40 to 111 in every channel.
func contrast(ground colour, r *Random) (ink colour) {
	for k, g := range ground {
		ink[k] = g + 40 + r.IntN(72)
	}
	return ink
}

func clampByte(v int) byte { return byte(min(max(v, 0), 255)) }

func abs(v int) int { return max(v, -v) }
