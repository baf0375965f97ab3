package compress_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/compress"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want compress.Compressor
		back string // "" where it is text
	}{
		{"dense", compress.Identity{}, ""},
		{"topk:0.9", compress.TopK(.9), ""},
		{"topk:.90", compress.TopK(.9), "topk:0.9"},
		{"topk:0", compress.TopK(0), ""},
		{"topk:1.0", compress.TopK(1), "topk:1"},
		{"topk:0.0000001", compress.TopK(1e-7), ""},
		{"topk:0.123456789012345", compress.TopK(.123456789012345), ""},
		{"uniform:0.8", compress.Uniform(.8), ""},
		{"nm:2:4", compress.NM{N: 2, M: 4}, ""},
		{"nm:04:08", compress.NM{N: 4, M: 8}, "nm:4:8"},
		{"block4:0.8", compress.Block{Size: 4, Sparsity: .8}, ""},
		{"block16:0.75", compress.Block{Size: 16, Sparsity: .75}, ""},
		{"only(layer*.conv*.weight):topk:0.9", compress.Only(compress.TopK(.9), "layer*.conv*.weight"), ""},
		{"except(conv1.weight,fc.weight):nm:2:4", compress.Except(compress.NM{N: 2, M: 4}, "conv1.weight", "fc.weight"), ""},
		{"only(layer[0-3].*):except(*.downsample.*):block4:0.5",
			compress.Only(compress.Except(compress.Block{Size: 4, Sparsity: .5}, "*.downsample.*"), "layer[0-3].*"), ""},
	} {
		got, err := compress.Parse(c.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.text, err)
			continue
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("Parse(%q) = %#v, want %#v", c.text, got, c.want)
		}
		if c.back == "" {
			c.back = c.text
		}
		if got.String() != c.back {
			t.Errorf("Parse(%q).String() = %q, want %q", c.text, got, c.back)
		}
		if _, ok := got.(compress.GraphCompressor); !ok {
			t.Errorf("Parse(%q) has no graph form", c.text)
		}
	}
	if got := (compress.Block{Sparsity: .5}).String(); got != "block4:0.5" {
		t.Errorf("a block of no size is %q, want block4:0.5", got)
	}
}

func TestParseRejects(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "topk:SPARSITY"},
		{"0.9", "topk:SPARSITY"},
		{"magic:0.9", "topk:SPARSITY"},
		{"TopK:0.9", "topk:SPARSITY"},
		{"topk", "topk:0.9"},
		{"topk:", "topk:0.9"},
		{"topk:0.9 ", "decimal"},
		{"topk:9e-1", "decimal"},
		{"topk:0x1p-1", "decimal"},
		{"topk:nan", "decimal"},
		{"topk:-0.1", "decimal"},
		{"topk:0.5:0.6", "decimal"},
		{"topk:1.5", "0 (keep all) to 1 (keep none)"},
		{"uniform:2", "0 (keep all) to 1 (keep none)"},
		{"dense:1", "topk:SPARSITY"},
		{"nm:2", "nm:2:4"},
		{"nm:2:4:8", "nm:2:4"},
		{"nm:0:4", "whole number"},
		{"nm:+2:4", "whole number"},
		{"nm:5:4", "1 ≤ N ≤ M"},
		{"nm:2:99999999999999999999", "whole number"},
		{"block:0.8", "block4:0.8"},
		{"block0:0.8", "whole number"},
		{"block4", "decimal"},
		{"block4:1.1", "0 (keep all)"},
		{"only(a", "only(PATTERN"},
		{"only(a)topk:0.9", "only(PATTERN"},
		{"only():topk:0.9", "malformed pattern"},
		{"only(a,):topk:0.9", "malformed pattern"},
		{"only(a b):topk:0.9", "malformed pattern"},
		{"only(a[):topk:0.9", "malformed pattern"},
		{"except(a):nothing", "topk:SPARSITY"},
		{"only(a):" + strings.Repeat("only(a):", 1000) + "topk:0.9", "at most 4096"},
	} {
		got, err := compress.Parse(c.text)
		if err == nil {
			t.Errorf("Parse(%q) = %v, want an error", c.text, got)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("Parse(%q): error %q does not mention %q", c.text, err, c.says)
		}
		if err != nil && got != nil {
			t.Errorf("Parse(%q) returns %v in addition to its error", c.text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"dense", "topk:0.9", "nm:2:4", "block4:0.8", "only(a*,b):except(c):uniform:.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := compress.Parse(s)
		if err != nil {
			return
		}
		again, err := compress.Parse(c.String())
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("Parse(%q) = %#v, whose name %q parses as %#v, %v", s, c, c, again, err)
		}
	})
}
