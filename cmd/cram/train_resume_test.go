package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestResume interrupts a training twice, by its context and by a kill of the process, and compares
// the result with that of a training without interruption.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	args := func(name string) []string {
		return []string{"train", "--model", "small-cnn", "--data", "shapes", "--limit", "1600", "--epochs", "3", "--batch", "32",
			"--optimizer", "adam", "--lr", "0.001", "--checkpoint-every", "7", "--freeze", "bn1.*", "--out", filepath.Join(dir, name)}
	}
	must(t, args("whole.cram")...)

	ctx, cancel := context.WithCancel(t.Context())
	part := filepath.Join(dir, "cut.cram.part")
	go func() {
		defer cancel()
		waitFor(ctx, func() bool { _, err := os.Stat(part); return err == nil })
	}()
	if o := try(ctx, args("cut.cram")...); o.code != 1 || o.stderr != "cram: interrupted; the same command resumes from "+part+"\n" {
		t.Fatalf("a cancelled training: %+v", o)
	}

	command := exec.CommandContext(t.Context(), os.Args[0], args("cut.cram")...)
	command.Env = append(os.Environ(), "CRAM_TEST_AS_COMMAND=1")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	before := read(t, part)
	waitFor(t.Context(), func() bool { now, err := os.ReadFile(part); return err != nil || !bytes.Equal(before, now) })
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Fatal("the training ended before it could be killed")
	}

	if o := try(t.Context(), append(args("cut.cram"), "--seed", "1")...); o.code != 1 || !strings.Contains(o.stderr, "another training") {
		t.Errorf("another seed resumes from the same file: %+v", o)
	}
	if o := try(t.Context(), append(args("cut.cram"), "--backend", "reference")...); o.code != 1 || !strings.Contains(o.stderr, "--any-backend") {
		t.Errorf("another backend resumes from the same file: %+v", o)
	}
	if o := try(t.Context(), args("cut.cram")...); o.code != 0 || !strings.Contains(o.stderr, "resuming from "+part) {
		t.Fatalf("the same command again: %+v", o)
	}
	if !bytes.Equal(read(t, filepath.Join(dir, "whole.cram")), read(t, filepath.Join(dir, "cut.cram"))) {
		t.Error("the file of the interrupted training differs")
	}
	if _, err := os.Stat(part); err == nil {
		t.Error("the checkpoint was not removed")
	}
}

// waitFor returns when done returns true or the context ends.
func waitFor(ctx context.Context, done func() bool) {
	for ctx.Err() == nil && !done() {
		time.Sleep(time.Millisecond)
	}
}
