package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/data"
)

func TestDataList(t *testing.T) {
	var names []string
	for _, line := range must(t, "data", "list") {
		names = append(names, line["name"].(string))
	}
	if len(names) != len(data.KnownSets()) || names[0] != "cifar10" {
		t.Errorf("data list printed %v", names)
	}
}

// TestDataFetchMirror requires a download from --mirror, and the name of a missing file in the
// error.
func TestDataFetchMirror(t *testing.T) {
	mirror := httptest.NewServer(http.NotFoundHandler())
	defer mirror.Close()
	dir := t.TempDir()
	o := try(t.Context(), "data", "fetch", "mnist", "--data-dir", dir, "--mirror", mirror.URL+"/")
	if o.code != 1 || !strings.Contains(o.stderr, "train-images-idx3-ubyte.gz") {
		t.Errorf("fetch from a mirror without files: %+v", o)
	}
}

// TestFolder trains on a directory of images, and requires an error for splits with other classes.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	picture := read(t, shape(t, t.TempDir(), 1))
	for _, name := range []string{"train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png", "test/a/1.png", "test/b/1.png"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"train", "--model", "small-cnn", "--data", "folder:" + dir, "--image-size", "16", "--epochs", "1", "--batch", "2", "--out", filepath.Join(dir, "net.cram")}
	if r := must(t, args...); r[len(r)-1]["epochs"] != 1.0 {
		t.Errorf("train printed %v", r)
	}
	if err := os.Rename(filepath.Join(dir, "test/b"), filepath.Join(dir, "test/c")); err != nil {
		t.Fatal(err)
	}
	if o := try(t.Context(), args...); o.code != 1 || !strings.Contains(o.stderr, "[a c]") {
		t.Errorf("different classes: %+v", o)
	}
}
