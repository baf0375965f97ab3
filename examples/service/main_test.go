package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
)

// network writes a file with an untrained network of three classes, and returns its result for x.
func network(t *testing.T, path string, seed uint64, x []float32) []class {
	t.Helper()
	model := nn.Sequential{nn.Func(nn.Flatten), nn.Linear{Out: 3}}
	decls, _, err := nn.Declare(model, graph.Floats("x", 3, 8, 8))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := nn.Initial(decls, seed)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"day", "night", "dusk"}
	net, err := sdk.FromWeights(model, sdk.Info{Model: fmt.Sprint("seed ", seed), Inputs: []sdk.Port{{Shape: graph.Batch(3, 8, 8)}}, Outputs: []sdk.Port{{Classes: names}}}, weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := net.Save(path); err != nil {
		t.Fatal(err)
	}
	p, err := net.Predictor(t.Context(), sdk.PredictorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	rows, err := p.Classify(t.Context(), x, 5)
	if err != nil {
		t.Fatal(err)
	}
	classes := make([]class, len(rows[0]))
	for i, c := range rows[0] {
		classes[i] = class{c.Index, c.Name, c.Probability}
	}
	return classes
}

// picture returns an image of 8×8 pixels, which needs no resizing, and its tensor.
func picture(t *testing.T) (content []byte, x []float32) {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	x = make([]float32, 3*64)
	for i := range 64 {
		c := color.NRGBA{uint8(4 * i), uint8(255 - i), uint8(i * i), 255}
		p.Set(i%8, i/8, c)
		x[i], x[64+i], x[128+i] = float32(c.R)/255, float32(c.G)/255, float32(c.B)/255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), x
}

// A process is a running service.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	mu   sync.Mutex
	logs []map[string]any
	read chan struct{} // closed when the logs have ended
}

// start builds the program and runs it on a free port.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := &process{t: t, cmd: exec.Command(binary, append([]string{"-address", "localhost:0", "-poll", "10ms"}, args...)...), read: make(chan struct{})}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			var entry map[string]any
			if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
				t.Errorf("the log has a line that is no JSON: %s", lines.Bytes())
			}
			p.mu.Lock()
			p.logs = append(p.logs, entry)
			p.mu.Unlock()
		}
	}()
	p.url = "http://" + p.logged("listening", "address", "")["address"].(string)
	return p
}

// logged waits for a log entry of this message whose attribute contains a text.
func (p *process) logged(message, key, text string) map[string]any {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		for _, entry := range p.logs {
			if value, ok := entry[key].(string); ok && entry["msg"] == message && strings.Contains(value, text) {
				p.mu.Unlock()
				return entry
			}
		}
		p.mu.Unlock()
	}
	p.t.Fatalf("no log entry %q whose %s has %q: %v", message, key, text, p.logs)
	return nil
}

func (p *process) get(path string) (status int, body string) {
	p.t.Helper()
	r, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (p *process) post(path, contentType string, content []byte) (status int, a answer) {
	p.t.Helper()
	r, err := http.Post(p.url+path, contentType, bytes.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusOK {
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			p.t.Fatal(err)
		}
	}
	return r.StatusCode, a
}

// TestService runs the program, from a start without a file to SIGTERM.
func TestService(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED on Windows: it has no SIGTERM")
	}
	content, x := picture(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "net.cram")
	p := start(t, "-drain", "1s", file)
	p.logged("file not loaded", "error", "no such file")
	if status, _ := p.get("/livez"); status != http.StatusOK {
		t.Errorf("livez: status %d before there is a network", status)
	}
	if status, _ := p.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("readyz: status %d before there is a network", status)
	}
	if status, _ := p.post("/predict", "image/png", content); status != http.StatusServiceUnavailable {
		t.Errorf("predict: status %d before there is a network", status)
	}

	first := network(t, file, 1, x)
	p.logged("serving", "model", "seed 1")
	if status, _ := p.get("/readyz"); status != http.StatusOK {
		t.Errorf("readyz: status %d with a network", status)
	}
	asks := func(model string, want []class) {
		t.Helper()
		if status, a := p.post("/predict", "image/png", content); status != http.StatusOK || a.Model != model || a.Level != "dense" || !reflect.DeepEqual(a.Examples, [][]class{want}) {
			t.Errorf("image: status %d, %+v, want %v of %s", status, a, want, model)
		}
		body, err := json.Marshal(map[string]any{"shape": []int{2, 3, 8, 8}, "data": append(append([]float32{}, x...), x...)})
		if err != nil {
			t.Fatal(err)
		}
		if status, a := p.post("/predict?top=2", "application/json", body); status != http.StatusOK || !reflect.DeepEqual(a.Examples, [][]class{want[:2], want[:2]}) {
			t.Errorf("tensor: status %d, %+v, want %v twice", status, a, want[:2])
		}
	}
	asks("seed 1", first)
	for _, bad := range []struct{ path, kind, body string }{
		{"/predict", "image/png", "no picture"},
		{"/predict", "application/json", "{"},
		{"/predict", "application/json", `{"shape": [1, 3, 8], "data": [1]}`},
		{"/predict", "application/json", `{"shape": [1, 3, 8, 8], "data": [1]}`},
		{"/predict", "application/json", `{"shape": [99999999999, 3, 8, 8], "data": [1]}`},
		{"/predict", "application/json", `{"shape": [], "data": []}`},
		{"/predict?top=0", "image/png", string(content)},
	} {
		if status, _ := p.post(bad.path, bad.kind, []byte(bad.body)); status != http.StatusBadRequest {
			t.Errorf("%v: status %d, want 400", bad, status)
		}
	}
	if status, body := p.get("/model"); status != http.StatusOK || !strings.Contains(body, `"seed 1"`) {
		t.Errorf("model: status %d, %s", status, body)
	}

	second := network(t, file, 2, x)
	if reflect.DeepEqual(first, second) {
		t.Fatal("two networks, the same answers: the test cannot fail")
	}
	p.logged("serving", "model", "seed 2")
	asks("seed 2", second)

	damaged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)-5] ^= 1
	beside := filepath.Join(dir, "damaged")
	if err := os.WriteFile(beside, damaged, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, file); err != nil {
		t.Fatal(err)
	}
	p.logged("file not loaded", "error", "damaged at byte")
	asks("seed 2", second)

	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.logged("stopping", "drain", "")
	if status, body := p.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "stopping") {
		t.Errorf("readyz: status %d, %q while stopping", status, body)
	}
	asks("seed 2", second)
	<-p.read
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	p.logged("stopped", "msg", "")
}
