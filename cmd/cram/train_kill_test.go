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

// killed are the trainings that are killed: each has other state. A row is a name and flags.
var killed = []struct {
	name  string
	flags []string
}{
	{"cram+, reused masks", []string{"--method", "cram+", "--rho", "0.1", "--levels", "0.5,0.9", "--refresh", "3"}},
	{"adam, best and last kept", []string{"--method", "sgd", "--optimizer", "adam", "--lr", "0.001", "--keep", "2", "--best", "loss"}},
	{"a plugin's compressor", []string{"--method", "cram+", "--rho", "0.1", "--levels", "plugin:" + os.Args[0] + "?" + steady}},
}

// TestKilledTrainings kills real trainings at random instants, which mostly fall between two checkpoints and sometimes into one, and starts
// them again with the same command. What they leave is what a training leaves that nobody disturbed, file by file and byte by byte.
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

// whole returns the files of an uninterrupted training.
func whole(t *testing.T, args []string) map[string]string {
	dir := t.TempDir()
	if out, err := training(args, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return contents(t, dir)
}

// killTraining starts the training and kills it after a random part of the time that a whole one takes, so many times. One attempt in four is
// asked to end instead and may tidy up first; those come in addition.
func killTraining(t *testing.T, args []string, kills int, takes time.Duration, want map[string]string) {
	dir := t.TempDir()
	done, asked, resumed := 0, 0, 0
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
		case err == nil: // it was faster
			compare(t, contents(t, dir), want)
			dir = t.TempDir()
		case status.Signal() == syscall.SIGKILL:
			done++
		case signal == syscall.SIGTERM && (status.Signal() == syscall.SIGTERM || status.ExitStatus() == 1):
			asked++
		default:
			t.Fatalf("%v after the signal %v\n%s", err, signal, out.Bytes())
		}
	}
	if resumed == 0 || resumed < kills/3 {
		t.Errorf("only %d trainings, for %d kills, had a checkpoint to go on from: the test proves little", resumed, kills)
	}
	if out, err := training(args, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	compare(t, contents(t, dir), want)
	t.Logf("%d kills, %d asked to end, %d starts from a checkpoint", done, asked, resumed)
}

// training returns the command as a process of its own, whose files come to stand in dir.
func training(args []string, dir string) *exec.Cmd {
	c := exec.Command(os.Args[0], append(args, "--out", filepath.Join(dir, "net.cram"))...)
	c.Env = append(os.Environ(), "CRAM_TEST_AS_COMMAND=1")
	return c
}

// contents returns what a folder holds.
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

// compare fails unless two folders are equal.
func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is left over", name)
		}
	}
	for name, content := range want {
		if got[name] != content {
			t.Errorf("%s differs from that of an uninterrupted training, or is missing", name)
		}
	}
}
