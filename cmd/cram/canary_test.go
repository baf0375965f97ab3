package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// pathological writes a network to file in which every text is a way to name the canary, an executable, and returns the names of its levels. A copy
// with a training's state goes to trained.
func pathological(t *testing.T, file, trained, canary string) (levels []string) {
	t.Helper()
	net, err := random("small-cnn")
	if err == nil {
		net, err = sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.Dense{}, compress.TopK(.9))
	}
	if err == nil {
		err = net.Save(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.File()
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	relative := "../" + filepath.Base(filepath.Dir(canary)) + "/" + filepath.Base(canary)
	names := []string{
		canary, relative, "./" + relative, "../../../../../../../.." + canary, "file://" + canary, "plugin:" + canary, "plugin:" + canary + "?" + canary,
		"folder:" + filepath.Dir(canary), "|" + canary, "$(" + canary + ")", "`" + canary + "`", "; " + canary + " #", `C:\` + filepath.Base(canary), "~/" + relative, "@" + canary,
		"--backend=plugin:" + canary,
	}
	texts := map[string]string{}
	for i, w := range names {
		texts[w] = names[(i+1)%len(names)]
	}
	renamed := func(tensor string) string { return relative + "/" + tensor }
	for _, p := range f.Programs {
		for i := range p.Code {
			if s, ok := p.Code[i].Attr.(graph.Source); ok && p.Code[i].Op == graph.OpSlot {
				s.Name = renamed(s.Name)
				p.Code[i].Attr = s
			}
		}
		for i := range p.Slots {
			p.Slots[i].Name = renamed(p.Slots[i].Name)
		}
		for i := range p.Updates {
			p.Updates[i].Slot = renamed(p.Updates[i].Slot)
		}
	}
	for i, l := range f.Levels {
		tensors := map[string]graph.Value{}
		for name, v := range l.Tensors {
			tensors[renamed(name)] = v
		}
		f.Levels[i].Tensors, f.Levels[i].Notes = tensors, texts
	}
	sparse := f.Levels[1]
	f.Levels = f.Levels[:1] // dense, which compress begins with
	for i, w := range names {
		sparse.Name = w
		f.Levels = append(f.Levels, sparse)
		f.Programs[w] = f.Programs["reset"]
		f.Meta.Input.Classes = append(f.Meta.Input.Classes[:i:i], w)
	}
	for len(f.Meta.Input.Classes) < 1000 {
		f.Meta.Input.Classes = append(f.Meta.Input.Classes, fmt.Sprint(canary, len(f.Meta.Input.Classes)))
	}
	f.Meta.Model, f.Meta.Recipe, f.Meta.Data, f.Meta.Versions, f.Meta.Extra = canary, "plugin:"+canary, "folder:"+filepath.Dir(canary), texts, texts
	if err := checkpoint.Save(file, f); err != nil {
		t.Fatal(err)
	}
	f.State = &checkpoint.State{Ints: map[string]int64{canary: 1, relative: 2}, Tensors: map[string]graph.Value{canary: f.Levels[0].Tensors[renamed("conv1.weight")]}}
	if err := checkpoint.Save(trained, f); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestNothingInAFileIsAPath lets every command that reads a network loose on one whose every text names a canary. None may open it, run it, or write
// anything but what the command line says.
func TestNothingInAFileIsAPath(t *testing.T) {
	root := t.TempDir()
	cage, work := filepath.Join(root, "cage"), filepath.Join(root, "work")
	canary, file, trained, out := filepath.Join(cage, "canary"), filepath.Join(work, "net.cram"), filepath.Join(work, "trained.cram"), filepath.Join(work, "out")
	for _, dir := range []string{cage, work, out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(canary, []byte("#!/bin/sh\necho sang >>"+root+"/sang\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	levels := pathological(t, file, trained, canary)
	picture := shape(t, work, 1)
	t.Chdir(work)
	before := tree(t, root)
	quiet := watch(t, cage, root)
	run := func(args ...string) {
		t.Helper()
		if o := try(t.Context(), args...); o.code != 0 {
			t.Errorf("cram %s: exit code %d, %s", strings.Join(args, " "), o.code, o.stderr)
		}
	}
	made := map[string]bool{}
	to := func(name string) string {
		made[filepath.Join("work", "out", name)] = true
		return filepath.Join(out, name)
	}
	run("verify", file, trained)
	run("inspect", file)
	run("inspect", file, "--json")
	run("inspect", trained)
	for _, l := range levels {
		run("inspect", file, "--level="+l)
		run("inspect", file, "--program="+l)
	}
	run("eval", file, "--data", "shapes", "--limit", "2", "--batch", "2", "--threads", "1")
	run("predict", file, "--level="+levels[5], picture)
	run("convert", file, "--encoding", "smallest", "--out", to("converted.cram"))
	run("export", file, "--level="+levels[1], "--format", "safetensors", "--out", to("net.safetensors"))
	run("export", file, "--level="+levels[5], "--format", "onnx", "--fold-bn", "--out", to("net.onnx"))
	run("compress", file, "--with", "dense,0.5", "--data", "shapes", "--batches", "1", "--out", to("less.cram"))
	quiet()
	after := tree(t, root)
	for path := range made {
		if after[path] == "" {
			t.Errorf("%s is missing", path)
		}
		delete(after, path)
	}
	for path, content := range after {
		if before[path] != content {
			t.Errorf("%s has appeared or changed", path)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files and folders became %d", len(before), len(after))
	}
}

// tree returns what each file and folder under root is.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			found[name] = "folder"
			return nil
		}
		b, err := os.ReadFile(path)
		sum := sha256.Sum256(b)
		found[name] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
