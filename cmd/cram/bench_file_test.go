package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint/safetensors"
)

// peer is the argument that makes the test binary a peer of bench file.
const peer = "peer"

// servePeer is a peer that reports 0.5 s for each load and 0.25 s for each save. It prints wrong
// instead if that is not empty, and ends at once if wrong is "none".
func servePeer(wrong string) {
	if wrong == "none" {
		os.Exit(1)
	}
	fmt.Println("a quick one")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, path, _ := strings.Cut(lines.Text(), " ")
		_, err := os.Stat(path)
		switch {
		case wrong != "":
			fmt.Println(wrong)
		case verb == "load" && readable(path):
			fmt.Println(0.5)
		case verb == "save" && os.IsNotExist(err):
			fmt.Println(0.25)
			os.WriteFile(path, nil, 0o666) // the next round has to remove it
		default:
			fmt.Println("cannot", verb, path)
		}
	}
	os.Exit(0)
}

func TestGzipped(t *testing.T) {
	content := []byte(strings.Repeat("cram", 1000))
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, content)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := gzipped(path); n != int64(b.Len()) || err != nil {
		t.Errorf("%d bytes, %v; want %d", n, err, b.Len())
	}
}

func readable(path string) bool {
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.Tensors()
	return err == nil
}

func TestBenchFile(t *testing.T) {
	rows := must(t, "bench", "file", "--model", "resnet20", "--sparsity", "0,0.9", "--rounds", "2", "--", os.Args[0], peer, "")
	if len(rows) != 2 {
		t.Fatalf("bench file printed %v", rows)
	}
	whole, small := rows[0], rows[1]
	if small["bytes"].(float64) > 0.25*whole["bytes"].(float64) || small["dense_safetensors_bytes"] != whole["dense_safetensors_bytes"] ||
		small["gzip_bytes"].(float64) > 0.3*small["dense_safetensors_bytes"].(float64) {
		t.Errorf("bench file printed %v", rows)
	}
	for _, r := range rows {
		for _, key := range []string{"save_s", "load_s", "read_s", "repack_s", "serve_s"} {
			if s, ok := r[key].(float64); !ok || s <= 0 {
				t.Errorf("%s is %v", key, r[key])
			}
		}
		if r["peer"] != "a quick one" || r["peer_load_s"] != 0.5 || r["peer_save_s"] != 0.25 {
			t.Errorf("the values of the peer are %v", r)
		}
	}
}

func TestBenchFileNoPeer(t *testing.T) {
	r := must(t, "bench", "file", "--model", "resnet20", "--sparsity", "0.5", "--rounds", "1")[0]
	if _, ok := r["peer"]; ok || r["serve_s"].(float64) <= 0 {
		t.Errorf("bench file printed %v", r)
	}
}

func TestBenchFileBadPeer(t *testing.T) {
	for want, command := range map[string][]string{
		`load: want seconds above 0, got "soon"`: {os.Args[0], peer, "soon"},
		`load: want seconds above 0, got "-1"`:   {os.Args[0], peer, "-1"},
		"want a line of output, got none":        {os.Args[0], peer, "none"},
		"executable file not found":              {"cram-no-such-peer"},
	} {
		o := try(t.Context(), append([]string{"bench", "file", "--model", "resnet20", "--rounds", "1", "--"}, command...)...)
		if o.code != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("%q: exit code %d, %s", command, o.code, o.stderr)
		}
	}
}
