package main

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/compressaware/cram/checkpoint"
)

// TestHostileTexts requires that control characters in the texts of a file are printed in escaped
// form.
func TestHostileTexts(t *testing.T) {
	f := readAll(t, twoLevels(t))
	const hostile = "\x1b[2J\r\u202e\nlevel fake"
	const shown = `\x1b[2J\r\u202e\nlevel fake`
	f.Info.Model, f.Info.Recipe, f.Info.Data = hostile, hostile, hostile
	f.Info.Versions = map[string]string{"go": hostile}
	f.Info.Extra = map[string]string{"author": hostile}
	f.Levels[1].Notes = map[string]string{"conv1.weight": hostile}
	dir := t.TempDir()
	file := filepath.Join(dir, "hostile.cram")
	if err := checkpoint.Save(file, f); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		shown int // how often the text is shown
	}{
		{[]string{"inspect", file}, 6},
		{[]string{"inspect", file, "--level", "topk:0.9"}, 6},
		{[]string{"verify", file}, 0},
		{[]string{"eval", file, "--data", "shapes", "--limit", "10"}, 0},
		{[]string{"predict", file, "--level", "dense", shape(t, dir, 1)}, 0},
		{[]string{"export", file, "--level", "dense", "--format", "safetensors", "--out", filepath.Join(dir, "none", "\x1b[2J")}, 0},
		{[]string{"train", "--init", file, "--model", "\x1b[2J", "--data", "shapes", "--epochs", "1", "--out", file}, 0},
		{[]string{"inspect", file + "\x1b[2J"}, 0},
		{[]string{"\x1b[2J"}, 0},
	} {
		o := try(t.Context(), c.args...)
		both := o.stdout + o.stderr
		if i := strings.IndexFunc(both, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("cram %q prints %q", c.args, both[max(i-20, 0):min(i+20, len(both))])
		}
		if n := strings.Count(both, shown); n != c.shown {
			t.Errorf("cram %q shows the text %d times, want %d:\n%s", c.args, n, c.shown, both)
		}
		if strings.Contains(both, "\nlevel fake") {
			t.Errorf("cram %q prints a text that looks like a level", c.args)
		}
	}
}
