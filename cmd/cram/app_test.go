package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestMain runs the test binary as the command itself, as a plugin or as a peer, by its arguments
// and environment.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == stuck {
		serveStuck()
	}
	if len(os.Args) == 2 && os.Args[1] == unstable {
		serveUnstable()
	}
	if len(os.Args) == 2 && os.Args[1] == steady {
		serveSteady()
	}
	if len(os.Args) > 2 && os.Args[1] == peer {
		servePeer(os.Args[2])
	}
	if os.Getenv("CRAM_TEST_AS_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

// An outcome is the result of one command line.
type outcome struct {
	code           int
	stdout, stderr string
}

func try(ctx context.Context, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// must runs a command line with --json, requires success, and returns the printed objects.
func must(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	o := try(t.Context(), append([]string{"--json"}, args...)...)
	if o.code != 0 {
		t.Fatalf("cram %s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	var objects []map[string]any
	for line := range strings.Lines(o.stdout) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("cram %s: line %q: %v", strings.Join(args, " "), line, err)
		}
		objects = append(objects, object)
	}
	if len(objects) == 0 {
		t.Fatalf("cram %s printed nothing", strings.Join(args, " "))
	}
	return objects
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// noRepeats fails if an error contains the name of a package or a file twice.
func noRepeats(t *testing.T, stderr string) {
	t.Helper()
	for line := range strings.Lines(stderr) {
		seen := map[string]bool{}
		for _, part := range strings.Split(line, ": ") {
			subject := strings.TrimPrefix(part, "open ")
			if seen[subject] {
				t.Errorf("%q contains %q twice", line, subject)
			}
			seen[subject] = true
		}
	}
}

// TestFileErrors requires the name of the file, once, in every error about a file.
func TestFileErrors(t *testing.T) {
	file, dir := twoLevels(t), t.TempDir()
	content := read(t, file)
	made := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		write(t, path, content)
		return path
	}
	flipped := slices.Clone(content)
	flipped[len(flipped)-1] ^= 1
	out, picture := filepath.Join(dir, "out"), shape(t, dir, 1)
	for _, bad := range []string{
		filepath.Join(dir, "none"), dir, made("junk", []byte("junk")), made("short", content[:500]), made("flipped", flipped),
	} {
		for _, args := range [][]string{
			{"eval", bad, "--data", "shapes"}, {"predict", bad, picture, "--level", "dense"}, {"compress", bad, "--with", "0.5", "--out", out},
			{"convert", bad, "--out", out}, {"export", bad, "--level", "dense", "--format", "onnx", "--out", out},
			{"train", "--init", bad, "--model", "small-cnn", "--data", "shapes", "--epochs", "1", "--out", out},
			{"verify", bad}, {"predict", file, bad, "--level", "dense"}, {"import", bad, "--model", "small-cnn", "--out", out},
		} {
			o := try(t.Context(), args...)
			noRepeats(t, o.stderr)
			if o.code != 1 || !strings.Contains(o.stdout+o.stderr, bad) {
				t.Errorf("cram %s: %+v", strings.Join(args, " "), o)
			}
		}
	}
	for _, args := range [][]string{
		{"eval", file, "--data", "shapes", "--level", "topk:0.7"}, {"predict", file, picture}, {"inspect", file, "--level", "topk:0.7"},
		{"inspect", file, "--program", "none"}, {"convert", file, "--level", "none", "--out", out}, {"export", file, "--format", "onnx", "--out", out},
	} {
		o := try(t.Context(), args...)
		noRepeats(t, o.stderr)
		if o.code != 1 || !strings.Contains(o.stderr, file) {
			t.Errorf("cram %s: %+v", strings.Join(args, " "), o)
		}
	}
	for _, args := range [][]string{
		{"compress", file, "--with", "only(none*):topk:0.5", "--out", out}, {"compress", file, "--with", "0.5", "--out", filepath.Join(out, "nowhere")},
		{"compress", file, "--with", "plugin:./none", "--out", out}, {"eval", file, "--data", "cifar10", "--data-dir", out},
		{"train", "--model", "resnet20", "--init", file, "--data", "shapes", "--epochs", "1", "--out", out},
	} {
		o := try(t.Context(), args...)
		noRepeats(t, o.stderr)
		if o.code != 1 {
			t.Errorf("cram %s: %+v", strings.Join(args, " "), o)
		}
	}
}

// TestErrors requires exit code 2 for every error of the command line and 1 for other errors.
func TestErrors(t *testing.T) {
	train := []string{"train", "--model", "small-cnn", "--data", "shapes", "--epochs", "1", "--out", t.TempDir() + "/net.cram"}
	with := func(args ...string) []string { return append(append([]string(nil), train...), args...) }
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"prune"}, 2, `unknown command "prune"`},
		{[]string{"bench"}, 2, "train"},
		{[]string{"data", "get"}, 2, "list or fetch"},
		{[]string{"train"}, 2, `"model", "data"`},
		{[]string{"eval", "a", "b", "--data", "shapes"}, 2, "accepts 1 arg"},
		{with("--speed", "9"), 2, "unknown flag: --speed"},
		{with("--epochs", "0"), 2, "--epochs: want 1 or more, got 0"},
		{with("--epochs", "many"), 2, `--epochs: want a whole number, got "many"`},
		{with("--epochs", "99999999999999999999"), 2, "out of range"},
		{with("--lr", "fast"), 2, `--lr: want a number, got "fast"`},
		{with("--milestones", "1;2"), 2, "--milestones: want whole numbers separated by commas"},
		{with("--keep-last", "-1"), 2, "--keep-last: want 0 or more, got -1"},
		{with("--best", "f1"), 2, "accuracy or loss"},
		{with("--model", "resnet21"), 2, "resnet20"},
		{with("--data", "cifar11"), 2, "cifar10"},
		{with("--method", "crumb"), 2, "cram+"},
		{with("--levels", "0.5,magic"), 2, `"magic"`},
		{with("--levels", "1.5"), 2, "1.5"},
		{with("--method", "sgd", "--rho", "0.1"), 2, "--rho applies to --method sam, cram or cram+ only"},
		{with("--method", "sam", "--levels", "0.1"), 2, "--levels applies to"},
		{with("--refresh", "0"), 2, "--refresh: want 1 or more, got 0"},
		{with("--optimizer", "lion"), 2, "adamw"},
		{with("--optimizer", "adam", "--nesterov"), 2, "--nesterov applies to"},
		{with("--clip", "-1"), 2, "--clip: want 0 (no limit) or more, got -1"},
		{with("--schedule", "step"), 2, "multistep"},
		{with("--schedule", "multistep"), 2, "--milestones"},
		{with("--schedule", "constant", "--warmup", "1"), 2, "--warmup applies to"},
		{with("--lr", "0"), 2, "--lr: want a number above 0, got 0"},
		{with("--limit", "-1"), 2, "--limit: want 0 (all) or more, got -1"},
		{with("--backend", "gpu"), 2, "reference"},
		{with("--backend", "reference", "--threads", "2"), 2, "--threads: want 0 or 1 with --backend reference, got 2"},
		{with("--threads", "-1"), 2, "--threads: want 0 or more, got -1"},
		{with("--freeze", "conv9.*"), 2, "matches none"},
		{with("--freeze", "["), 2, "["},
		{with("--image-size", "9"), 2, "folder:DIR"},
		{with("--data", "folder:x"), 2, "--image-size"},
		{with("--out", "no/such/folder/net.cram"), 1, "no/such/folder"},
		{with("--init", "no.cram"), 1, "no.cram"},
		{with("--data", "folder:no", "--image-size", "8"), 1, "no"},
		{with("--data", "cifar10", "--data-dir", t.TempDir()), 1, "cram data fetch cifar10"},
		{[]string{"eval", "no.cram", "--data", "shapes"}, 1, "no.cram"},
		{[]string{"eval", "no.cram"}, 2, `"data"`},
		{[]string{"compress", "no.cram", "--with", "0.5", "--out", "x"}, 1, "no.cram"},
		{[]string{"compress", "no.cram", "--with", "0.5", "--out", "x", "--batches", "0"}, 2, "--batches: want 1 or more, got 0"},
		{[]string{"predict", "no.cram"}, 2, "at least 2"},
		{[]string{"predict", "no.cram", "x.png"}, 1, "no.cram"},
		{[]string{"predict", "no.cram", "x.png", "--top", "0"}, 2, "--top: want 1 or more, got 0"},
		{[]string{"inspect", "no.cram"}, 1, "no.cram"},
		{[]string{"import", "no.safetensors", "--model", "resnet20", "--out", "x"}, 1, "no.safetensors"},
		{[]string{"import", "no.safetensors", "--model", "resnet20", "--out", "x", "--mean", "1"}, 2, "std"},
		{[]string{"plugin", "info", "./p@sha256:12"}, 2, `SHA-256: want 64 hexadecimal digits, as sha256sum prints them, got "12"`},
		{[]string{"plugin", "test", "./p@sha256:" + strings.Repeat("x", 64)}, 2, "hexadecimal"},
		{[]string{"plugin", "test", "./p", "--timeout", "0s"}, 2, "--timeout: want a duration above 0, got 0s"},
		{with("--levels", "plugin:./p@sha256:"), 2, "SHA-256"},
		{with("--backend", "plugin:./p@sha256:00?x"), 2, "SHA-256"},
		{[]string{"bench", "train", "--steps", "0"}, 2, "--steps: want 1 or more, got 0"},
		{[]string{"data", "fetch", "shapes"}, 1, "no files to fetch"},
		{[]string{"data", "fetch", "cifar11"}, 2, "cifar10"},
		{with("--rho", "-1"), 2, "--rho: want 0 or more, got -1"},
		{with("--rho", "inf"), 2, "--rho: want 0 or more, got +Inf"},
		{with("--momentum", "2", "--clip", "1"), 2, "--momentum: want 0 or more and below 1, got 2"},
		{with("--momentum", "0", "--nesterov"), 2, "--momentum: want above 0 with --nesterov, got 0"},
		{with("--weight-decay", "nan"), 2, "--weight-decay: want 0 or more, got NaN"},
		{with("--lr", "nan"), 2, "--lr: want a number above 0, got NaN"},
		{with("--warmup", "5"), 2, "--warmup: want 0 to 1, the value of --epochs, got 5"},
		{with("--schedule", "multistep", "--milestones", "-1"), 2, "--milestones: want 0 or more, got -1"},
		{with("--schedule", "multistep", "--milestones", "1", "--gamma", "-1"), 2, "--gamma: want 0 or more, got -1"},
		{with("--backend", "plugin:"), 2, `plugin: want PROGRAM`},
		{[]string{"bench", "file", "--sparsity", "2"}, 2, "--sparsity: want fractions from 0 to 1, got 2"},
		{[]string{"import", "x", "--model", "small-cnn", "--out", "y", "--classes", "0"}, 2, "--classes: want 1 or more, got 0"},
		{[]string{"completion", "tcsh"}, 2, `"tcsh"`},
	} {
		o := try(t.Context(), c.args...)
		noRepeats(t, o.stderr)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || o.stdout != "" {
			t.Errorf("cram %s: exit code %d, stdout %q, stderr %q; want %d and %q", strings.Join(c.args, " "), o.code, o.stdout, o.stderr, c.code, c.want)
		}
	}
}

// TestVersion requires the versions of cram and Go on one line.
func TestVersion(t *testing.T) {
	o := try(t.Context(), "--version")
	if o.code != 0 || !regexp.MustCompile(`^cram \S+, `+regexp.QuoteMeta(runtime.Version())+"\n$").MatchString(o.stdout) {
		t.Errorf("%+v", o)
	}
}

// TestCompletion requires a script for every shell, and the command in the list of commands.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		if o := try(t.Context(), "completion", shell); o.code != 0 || !strings.Contains(o.stdout, "cram") || o.stderr != "" {
			t.Errorf("%s: exit code %d, %d bytes, %s", shell, o.code, len(o.stdout), o.stderr)
		}
	}
	if o := try(t.Context(), "-h"); !strings.Contains(o.stdout, "\n  completion ") {
		t.Errorf("help does not list completion: %s", o.stdout)
	}
}

// TestInterruption requires only the errors with another cause than the cancelled context.
func TestInterruption(t *testing.T) {
	canceled := fmt.Errorf("sdk: training step: %w", context.Canceled)
	full := errors.New("save net.cram: disk full")
	for want, err := range map[string]error{
		"interrupted":                                     canceled,
		"interrupted; save net.cram: disk full":           errors.Join(errors.Join(canceled, full), nil),
		"interrupted; save net.cram: disk full; use more": errors.Join(errors.Join(canceled, full), errors.New("use more")),
	} {
		if got := interruption(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestHelp requires a help text of every command, and examples that the command line accepts.
func TestHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		o := try(t.Context(), append(path, "-h")...)
		if o.code != 0 || !strings.Contains(o.stdout, "Usage:") {
			t.Errorf("%s -h: exit code %d, %q", c.CommandPath(), o.code, o.stdout)
		}
		if c.Short == "" || !c.HasSubCommands() && c.Example == "" {
			t.Errorf("%s has no summary or no example", c.CommandPath())
		}
		for line := range strings.Lines(strings.ReplaceAll(c.Example, "\\\n", "")) {
			checkExample(t, strings.Fields(strings.ReplaceAll(line, "'", "")))
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
}

func checkExample(t *testing.T, words []string) {
	t.Helper()
	if len(words) == 0 || words[0] != "cram" {
		t.Errorf("example %q does not begin with cram", words)
		return
	}
	// flags keep their parsed values
	root := (&app{}).root()
	// redirected
	if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '>' }); i > 0 {
		words = words[:i]
	}
	cmd, args, err := root.Find(words[1:])
	if err == nil {
		err = cmd.ParseFlags(args)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err == nil {
		err = cmd.ValidateRequiredFlags()
	}
	if err != nil {
		t.Errorf("example %q: %v", strings.Join(words, " "), err)
	}
}
