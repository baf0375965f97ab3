//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestSecondSignal requires that a second signal ends a command that the first does not end,
// because it waits for an image from a pipe.
func TestSecondSignal(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "picture.png")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "predict", twoLevels(t), "--level", "dense", pipe)
	c.Env = append(os.Environ(), "CRAM_TEST_AS_COMMAND=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	reading, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the command reads
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		c.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-ended:
			if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
				t.Errorf("it ended with %v, want by the signal", err)
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
