package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
)

// waysTo returns texts that name the canary, an executable file, in different ways.
func waysTo(canary string) []string {
	relative := "../" + filepath.Base(filepath.Dir(canary)) + "/" + filepath.Base(canary)
	return []string{
		canary, relative, "./" + relative, "../../../../../../../.." + canary, "file://" + canary, "plugin:" + canary, "plugin:" + canary + "?" + canary,
		"folder:" + filepath.Dir(canary), "|" + canary, "$(" + canary + ")", "`" + canary + "`", "; " + canary + " #", `C:\` + filepath.Base(canary), "~/" + relative, "@" + canary,
		"--backend=plugin:" + canary,
	}
}

// lure replaces the free texts of f by texts that name the canary, and adds levels and programs
// with such names. The added levels are copies of the last one.
func lure(f *checkpoint.File, ways []string, canary string) {
	texts := map[string]string{}
	for i, w := range ways {
		texts[w] = ways[(i+1)%len(ways)]
	}
	for i := range f.Levels {
		f.Levels[i].Notes = texts
	}
	level := f.Levels[len(f.Levels)-1]
	f.Levels = f.Levels[:1] // dense, from which compress and train start
	for _, w := range ways {
		level.Name = w
		f.Levels = append(f.Levels, level)
		f.Programs[w] = f.Programs["reset"]
	}
	classes := slices.Clone(ways)
	for len(classes) < 1000 {
		classes = append(classes, fmt.Sprint(canary, len(classes)))
	}
	output := &f.Info.Outputs[0]
	output.Classes = classes[:output.Shape[1].C] // 1,000 for random weights, 10 after a training
	f.Info.Steps = []checkpoint.Step{{Kind: canary, Port: output.Name, Settings: texts}}
	versions := maps.Clone(texts)
	maps.Copy(versions, f.Info.Versions)
	f.Info.Versions = versions
}

// claim replaces the texts of f that a training compares before it resumes.
func claim(f *checkpoint.File, canary string) {
	f.Info.Model, f.Info.Recipe, f.Info.Data, f.Info.Extra = canary, "plugin:"+canary, "folder:"+filepath.Dir(canary), f.Levels[0].Notes
}

// rename renames every tensor of f.
func rename(f *checkpoint.File, renamed func(tensor string) string) {
	for _, name := range []string{"infer", "train", "reset"} {
		p := f.Programs[name]
		for i := range p.Code {
			if s, ok := p.Code[i].Attr.(graph.SourceAttr); ok && p.Code[i].Op == graph.OpSlot {
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
		tensors := map[string]array.Value{}
		for name, v := range l.Tensors {
			tensors[renamed(name)] = v
		}
		f.Levels[i].Tensors = tensors
	}
}

func save(t *testing.T, path string, f *checkpoint.File) {
	t.Helper()
	if err := checkpoint.Save(path, f); err != nil {
		t.Fatal(err)
	}
}

// pathological writes a network to file in which every text names the canary, and a copy with the
// state of a training to trained.
func pathological(t *testing.T, file, trained, canary string) {
	t.Helper()
	net, err := random("small-cnn")
	if err == nil {
		net, err = sdk.Compress(t.Context(), net, sdk.Calibration{}, compress.Identity{}, compress.TopK(.9))
	}
	if err == nil {
		err = net.Save(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	f, ways := readAll(t, file), waysTo(canary)
	lure(f, ways, canary)
	claim(f, canary)
	renamed := func(tensor string) string { return ways[1] + "/" + tensor }
	rename(f, renamed)
	save(t, file, f)
	f.State = &checkpoint.State{Ints: map[string]int64{canary: 1, ways[1]: 2}, Tensors: map[string]array.Value{canary: f.Levels[0].Tensors[renamed("conv1.weight")]}}
	save(t, trained, f)
}

// TestTextsAreNotPaths runs every command on a network in which every text names a canary. No
// command may open it, run it, or write a file that the command line does not name.
func TestTextsAreNotPaths(t *testing.T) {
	root := t.TempDir()
	cage, work := filepath.Join(root, "cage"), filepath.Join(root, "work")
	canary, out := filepath.Join(cage, "canary"), filepath.Join(work, "out")
	file, initial, trained := filepath.Join(work, "net.cram"), filepath.Join(work, "initial.cram"), filepath.Join(work, "trained.cram")
	for _, dir := range []string{cage, work, out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(canary, []byte("#!/bin/sh\necho sang >>"+root+"/sang\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	levels := waysTo(canary)
	pathological(t, file, trained, canary)
	picture := shape(t, work, 1)
	t.Chdir(work)
	train := []string{"train", "--model", "small-cnn", "--data", "shapes", "--limit", "32", "--batch", "16", "--method", "sgd", "--epochs"}
	whole, resumed := filepath.Join(work, "whole.cram"), filepath.Join(out, "resumed.cram")
	must(t, append(train, "2", "--keep-last", "2", "--out", whole)...)
	// with the tensor names of a training
	first, part := readAll(t, whole), readAll(t, whole+".part.step2")
	lure(first, levels, canary)
	claim(first, canary)
	save(t, initial, first)
	lure(part, levels, canary)
	part.State.Ints[canary] = 1
	before := tree(t, root)
	save(t, resumed+".part", part)
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
	run(append(train, "1", "--init", initial, "--out", to("begun.cram"))...)
	run(append(train, "2", "--keep-last", "2", "--out", to("resumed.cram"))...)
	// after the resume from step 2
	made[filepath.Join("work", "out", "resumed.cram.part.step4")] = true
	if !bytes.Equal(read(t, resumed), read(t, whole)) {
		t.Error("the training did not resume from the checkpoint")
	}
	var live sdk.Live // as in a service
	p, err := sdk.LoadSparse(t.Context(), file, sdk.PredictorOptions{Level: levels[5]})
	if err == nil {
		err = live.Swap(p)
	}
	if err == nil {
		_, err = live.Predict(t.Context(), tensor.New(tensor.WithShape(1, 3, 24, 24), tensor.Of(tensor.Float32)))
	}
	if err := errors.Join(err, live.Close()); err != nil {
		t.Errorf("serving: %v", err)
	}
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
		t.Errorf("%d files and directories became %d", len(before), len(after))
	}
}

// tree returns the SHA-256 of each file under root, and "directory" for each directory.
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
			found[name] = "directory"
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
