package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// network writes a file with an untrained network of two classes.
func network(t *testing.T) string {
	t.Helper()
	model := nn.Sequential{nn.Func(nn.Flatten), nn.Linear{Out: 2}}
	decls, _, err := nn.Declare(model, graph.Batch(3, 8, 8))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, 1)
	if err != nil {
		t.Fatal(err)
	}
	net, err := sdk.FromWeights(model, sdk.Info{Input: sdk.Input{Shape: []int{3, 8, 8}, Classes: []string{"day", "night"}}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "net.cram")
	if err := net.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHandler(t *testing.T) {
	p, err := sdk.LoadSparse(network(t), sdk.Level("dense"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	server := httptest.NewServer(handler(p))
	defer server.Close()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := http.Post(server.URL, "image/png", bytes.NewReader(picture.Bytes()))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			var a answer
			if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
				t.Error(err)
				return
			}
			// A black picture leaves the biases alone.
			night := len(a.Logits) == 2 && a.Logits[1] > a.Logits[0]
			if a.Level != "dense" || len(a.Logits) != 2 || (a.Class == "night") != night {
				t.Errorf("answer %+v", a)
			}
		})
	}
	all.Wait()
	r, err := http.Post(server.URL, "image/png", strings.NewReader("no picture"))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusBadRequest {
		t.Errorf("status %s for what is no picture, want 400", r.Status)
	}
}
