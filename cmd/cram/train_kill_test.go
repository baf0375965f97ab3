package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// killed lists the trainings that are killed. Each has other state.
var killed = []struct {
	name  string
	flags []string
}{
	{"cram+, reused masks", []string{"--method", "cram+", "--rho", "0.1", "--levels", "0.5,0.9", "--refresh", "3"}},
	{"adam, best and last checkpoints", []string{"--method", "sgd", "--optimizer", "adam", "--lr", "0.001", "--keep-last", "2", "--best", "loss"}},
	{"a plugin's compressor", []string{"--method", "cram+", "--rho", "0.1", "--levels", "plugin:" + os.Args[0] + "?" + steady}},
}

// TestKilledTrainings kills trainings at random times, mostly between two checkpoints and sometimes
// within one, and starts them again with the same command. The resulting files must be those of a
// training without interruption, byte by byte.
func TestKilledTrainings(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in short mode: trains for seconds")
	}
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED on Windows: it has no signals to kill with")
	}
	kills := 3
	if os.Getenv("CRAM_LONG") == "1" {
		kills = 100
	}
	for _, row := range killed {
		t.Run(row.name, func(t *testing.T) {
			args := append([]string{"train", "--model", "small-cnn", "--data", "shapes", "--limit", "1500", "--epochs", "4", "--batch", "32",
				"--checkpoint-every", "5", "--seed", "3", "--json"}, row.flags...)
			start := time.Now()
			want := whole(t, args)
			killTraining(t, args, kills, time.Since(start), want)
		})
	}
}

// whole returns the files of a training without interruption.
func whole(t *testing.T, args []string) map[string]string {
	dir := t.TempDir()
	if out, err := training(args, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return contents(t, dir)
}

// killTraining starts the training and kills it after a random part of the time that a whole one
// takes, until it has killed it the given number of times. One attempt in four receives SIGTERM
// instead, after which it may write a checkpoint; these are not counted.
func killTraining(t *testing.T, args []string, kills int, takes time.Duration, want map[string]string) {
	dir := t.TempDir()
	done, terminated, resumed := 0, 0, 0
	for attempt := 0; done < kills; attempt++ {
		if _, err := os.Stat(filepath.Join(dir, "net.cram.part")); err == nil {
			resumed++
		}
		signal := os.Signal(os.Kill)
		if attempt%4 == 1 {
			signal = syscall.SIGTERM
		}
		c := training(args, dir)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rand.N(takes * 3 / 4))
		c.Process.Signal(signal) // it may have ended
		err := c.Wait()
		switch status := c.ProcessState.Sys().(syscall.WaitStatus); {
		case err == nil: // it ended before the signal
			compare(t, contents(t, dir), want)
			dir = t.TempDir()
		case status.Signal() == syscall.SIGKILL:
			done++
		case signal == syscall.SIGTERM && (status.Signal() == syscall.SIGTERM || status.ExitStatus() == 1):
			terminated++
		default:
			t.Fatalf("%v after the signal %v\n%s", err, signal, out.Bytes())
		}
	}
	if resumed == 0 || resumed < kills/3 {
		t.Errorf("%d of the trainings resumed from a checkpoint after %d kills, want a third or more", resumed, kills)
	}
	if out, err := training(args, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	compare(t, contents(t, dir), want)
	t.Logf("%d kills, %d terminations, %d starts from a checkpoint", done, terminated, resumed)
}

// training returns the command of a process that writes its files to dir.
func training(args []string, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0], append(args, "--out", filepath.Join(dir, "net.cram"))...)
	c.Env = append(os.Environ(), "CRAM_TEST_AS_COMMAND=1")
	return c
}

// contents returns the contents of the files in a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.Name()] = string(read(t, filepath.Join(dir, e.Name())))
	}
	return files
}

// compare fails unless two directories have equal files.
func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is left over", name)
		}
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s is missing, or differs from that of a training without interruption", name)
		}
	}
}
