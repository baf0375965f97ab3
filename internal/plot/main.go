// Command plot draws the picture of the README, accuracy against sparsity of ResNet-20 on
// CIFAR-10, from the table in docs/results.md:
//
//	cd internal/plot && go run . -in ../../docs/results.md -out ../../docs/accuracy.svg
//
// The same table always gives the same bytes. It is a module of its own, so that gonum's plot is no
// dependency of cram.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func main() {
	in := flag.String("in", "", "the Markdown `file` with the table")
	out := flag.String("out", "", "the SVG `file` to write")
	flag.Parse()
	if err := run(*in, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(in, out string, rest []string) error {
	if in == "" || out == "" || len(rest) > 0 {
		return fmt.Errorf("want -in FILE -out FILE and nothing else, got -in %q -out %q %q", in, out, rest)
	}
	doc, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	curves, err := parse(string(doc))
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	svg, err := picture(curves)
	if err != nil {
		return err
	}
	return os.WriteFile(out, svg, 0o644)
}

// Sizes are in points, of which 3 are 4 pixels of CSS: the picture is 720 by 420 pixels.
const (
	width, height = 540, 315
	margin        = 11
)

var ink, faint = color.Gray{Y: 0x22}, color.Gray{Y: 0xDD}

// looks has the look of each of the names, in their order, and where the values stand beside the
// markers. Colours, dashes and markers all differ.
var looks = []struct {
	colour color.Color
	dashes []vg.Length
	marker draw.GlyphDrawer
	value  text.Style
	offset vg.Point
}{
	{
		colour: color.RGBA{R: 0xC2, G: 0x4E, A: 0xFF}, dashes: []vg.Length{5, 3}, marker: draw.BoxGlyph{},
		value: text.Style{XAlign: text.XRight, YAlign: text.YTop}, offset: vg.Point{X: -3, Y: -1},
	},
	{
		colour: color.RGBA{G: 0x66, B: 0xA6, A: 0xFF}, marker: draw.CircleGlyph{},
		value: text.Style{XAlign: text.XLeft, YAlign: text.YBottom}, offset: vg.Point{X: 0, Y: 5},
	},
}

// apart is the difference in percentage points from which on the values are written.
const apart = 3

// picture draws the two curves that parse returns as SVG.
func picture(curves []curve) ([]byte, error) {
	p := frame()
	for i, c := range curves {
		look := looks[i]
		points, labels := plotter.XYs{}, plotter.XYLabels{}
		for j, x := range c.zeros {
			at := plotter.XY{X: x, Y: c.accuracy[j]}
			points = append(points, at)
			if curves[1].accuracy[j]-curves[0].accuracy[j] >= apart {
				labels.XYs = append(labels.XYs, at)
				labels.Labels = append(labels.Labels, strconv.FormatFloat(at.Y, 'f', 1, 64))
			}
		}
		line, markers, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle = draw.LineStyle{Color: look.colour, Width: 2, Dashes: look.dashes}
		markers.GlyphStyle = draw.GlyphStyle{Color: look.colour, Radius: 3.2, Shape: look.marker}
		p.Legend.Add(c.name, line, markers)
		if len(labels.XYs) > 0 {
			v, err := plotter.NewLabels(labels)
			if err != nil {
				return nil, err
			}
			for j := range v.TextStyle {
				s := &v.TextStyle[j]
				s.Color, s.Font = look.colour, sans(10)
				s.XAlign, s.YAlign = look.value.XAlign, look.value.YAlign
			}
			v.Offset = look.offset
			p.Add(values{v})
		}
		p.Add(line, markers)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 100, 0, 100 // Add has fitted them to the points

	canvas := vgsvg.New(width, height)
	page := draw.New(canvas)
	page.SetColor(color.White)
	page.Fill(page.Rectangle.Path())
	p.Draw(draw.Crop(page, margin, -margin, margin, -margin))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, err
	}
	// The font is named, not embedded: where it is missing, those of the same widths come first.
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// frame is the plot without its curves.
func frame() *plot.Plot {
	p := plot.New()
	p.Title.Text = "ResNet-20 on CIFAR-10, pruned one-shot"
	p.Title.TextStyle.Font = sans(14)
	p.Title.TextStyle.Color = ink
	p.Title.Padding = 8
	p.X.Label.Text = "weights set to zero, % (0 = dense)"
	p.Y.Label.Text = "test accuracy, % (mean of two seeds)"
	p.X.Tick.Marker = ticks(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)
	p.Y.Tick.Marker = ticks(0, 20, 40, 60, 80, 100)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Padding = ink, 0
		a.Label.TextStyle.Font, a.Label.TextStyle.Color, a.Label.Padding = sans(11), ink, 4
		a.Tick.Label.Font, a.Tick.Label.Color = sans(10.5), ink
		a.Tick.Color, a.Tick.Length = ink, 4
	}
	p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, 14, 14
	p.Legend.TextStyle.Font, p.Legend.TextStyle.Color = sans(11), ink
	p.Legend.ThumbnailWidth, p.Legend.Padding = 34, 6
	p.Add(&plotter.Grid{Horizontal: draw.LineStyle{Color: faint, Width: 0.6}})
	return p
}

// values are labels on white, so that no line of the grid runs through a figure.
type values struct{ *plotter.Labels }

func (v values) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	c.SetColor(color.White)
	for i, at := range v.XYs {
		box := v.TextStyle[i].Rectangle(v.Labels.Labels[i])
		box = box.Add(vg.Point{X: x(at.X), Y: y(at.Y)}.Add(v.Offset))
		box.Min.Y += v.TextStyle[i].FontExtents().Descent // no figure reaches below the line
		c.Fill(box.Path())
	}
	v.Labels.Plot(c, p)
}

func ticks(at ...float64) plot.ConstantTicks {
	marks := make(plot.ConstantTicks, len(at))
	for i, v := range at {
		marks[i] = plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)}
	}
	return marks
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}
