package plugins

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/compressaware/cram/backends"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// unprintable changes what a terminal shows, and is long.
var unprintable = "\x1b[2J\r\u202e" + strings.Repeat("x", 1<<20)

// TestUnsupported holds that the missing ops are printable in an error, and not all of them are in
// it.
func TestUnsupported(t *testing.T) {
	missing := make([]string, 10_000)
	missing[0], missing[1] = "conv2d f64", unprintable
	err := unsupportedError(&protocol.UnsupportedOps{Backend: unprintable, Missing: missing})
	var lacks *backends.UnsupportedError
	if !errors.As(err, &lacks) || len(lacks.Missing) != maxMissing+1 || lacks.Missing[0] != "conv2d f64" || lacks.Missing[maxMissing] != "9744 more" {
		t.Errorf("%.200q", err)
	}
	if s := err.Error(); len(s) > 4*maxText || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%d bytes: %.200q", len(s), s)
	}
}

// TestPlanTexts holds that a plan crosses unchanged, and that a plan with an unprintable text is
// refused.
func TestPlanTexts(t *testing.T) {
	good := backends.Plan{
		Device: "a processor", InstructionSet: "avx2", Threads: 2, Batch: 128,
		Choices: []backends.Choice{
			{Name: "conv1.weight: conv2d 16→16 3×3", Kernel: "direct", Times: []backends.KernelTime{{Kernel: "direct", Nanoseconds: 7}, {Kernel: "sparse", Nanoseconds: 9}}},
			{Name: "fc.weight", Kernel: "dense"},
		},
	}
	if p, err := planOf(planMessage(&good)); err != nil || !reflect.DeepEqual(*p, good) {
		t.Fatalf("got %+v, %v, want %+v", p, err, good)
	}
	if p, err := planOf(nil); p != nil || err != nil {
		t.Errorf("no plan: got %v, %v", p, err)
	}
	for what, change := range map[string]func(*backends.Plan){
		"device":          func(p *backends.Plan) { p.Device = unprintable },
		"instruction set": func(p *backends.Plan) { p.InstructionSet = "\u202e" },
		"threads":         func(p *backends.Plan) { p.Threads = -1 },
		"batch":           func(p *backends.Plan) { p.Batch = -1 },
		"choice":          func(p *backends.Plan) { p.Choices = []backends.Choice{{Name: unprintable}} },
		"kernel":          func(p *backends.Plan) { p.Choices = []backends.Choice{{Name: "x", Kernel: "\u202e"}} },
		"timed kernel": func(p *backends.Plan) {
			p.Choices = []backends.Choice{{Name: "x", Times: []backends.KernelTime{{Kernel: "\x1b"}}}, {Name: "y"}}
		},
	} {
		bad := good
		change(&bad)
		if p, err := planOf(planMessage(&bad)); err == nil || p != nil || len(err.Error()) > 4*maxText {
			t.Errorf("%s: got %v, %.100v", what, p, err)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"one":                           "one",
		"one\ncram: all is well":        "one | cram: all is well",
		"\n one\r\n\n\ttwo\n":           `one\r | two`,
		"\x1b[2Jred":                    `\x1b[2Jred`,
		strings.Repeat("x", maxText+10): strings.Repeat("x", maxText) + "… (10 bytes more)",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%.50q): got %.80q, want %.80q", in, got, want)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"short", "short"}, {"123456789012", "12345 … 89012"}, {"1234é678901é2345", "1234 … 2345"},
	} {
		if got := shorten(c.in, 10); got != c.want {
			t.Errorf("shorten(%q, 10): got %q, want %q", c.in, got, c.want)
		}
	}
}
