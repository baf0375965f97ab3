package plugins

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/compressaware/cram/backends"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

var hostile = "\x1b[2J\r\u202e" + strings.Repeat("x", 1<<20)

// TestUnsupported: what a backend lacks is shown whatever the plugin wrote, but not all of it.
func TestUnsupported(t *testing.T) {
	missing := make([]string, 10_000)
	missing[0], missing[1] = "conv2d f64", hostile
	err := unsupported(&protocol.UnsupportedOps{Backend: hostile, Missing: missing})
	var lacks *backends.UnsupportedError
	if !errors.As(err, &lacks) || len(lacks.Missing) != mostMissing+1 || lacks.Missing[0] != "conv2d f64" || lacks.Missing[mostMissing] != "9744 more" {
		t.Errorf("%.200q", err)
	}
	if s := err.Error(); len(s) > 4*maxText || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%d bytes: %.200q", len(s), s)
	}
}

// TestPlanWords: a plan goes back to the plugin, so it is taken as it is or not at all.
func TestPlanWords(t *testing.T) {
	good := map[string]string{"conv1.weight: conv2d 16→16 3×3": "direct"}
	p, err := plan(good)
	if err != nil {
		t.Fatal(err)
	}
	if kernel, _ := p.Kernel("conv1.weight: conv2d 16→16 3×3"); kernel != "direct" {
		t.Errorf("plan %v", p)
	}
	for _, p := range []map[string]string{{hostile: "direct"}, {"conv1": hostile}, {"conv1": "\u202e"}} {
		if got, err := plan(p); err == nil || got != nil || len(err.Error()) > 4*maxText {
			t.Errorf("%.50q is a plan", p)
		}
	}
}
