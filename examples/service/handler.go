package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

// Bounds of a request.
const (
	maxBody     = 16 << 20 // bytes
	maxExamples = 256
)

// A service has the handlers and the network that answers.
type service struct {
	live     sdk.Live
	stopping atomic.Bool
	log      *slog.Logger
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /predict", s.predict)
	mux.HandleFunc("GET /model", s.model)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

func (s *service) ready(w http.ResponseWriter, _ *http.Request) {
	err := s.live.Use(func(*sdk.Predictor) error { return nil })
	if s.stopping.Load() {
		err = errors.New("stopping")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// model describes the network that answers.
func (s *service) model(w http.ResponseWriter, _ *http.Request) {
	var about map[string]any
	err := s.live.Use(func(p *sdk.Predictor) error {
		info := p.Info()
		about = map[string]any{
			"model": info.Model, "level": p.Level(), "recipe": info.Recipe, "data": info.Data, "versions": info.Versions,
			"shape": info.Input().Example(), "classes": info.Output().Classes, "backend": p.Backend(),
		}
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	s.write(w, about)
}

// An answer is the body of a response.
type answer struct {
	Model    string    `json:"model"`
	Level    string    `json:"level"`
	Examples [][]class `json:"examples"` // the best classes of each example, the best first
}

type class struct {
	Label int    `json:"label"`
	Name  string `json:"name,omitempty"` // absent when the network has no class names
	// softmax of the logits, 0 to 1; the sum over all classes is 1
	Score float64 `json:"score"`
}

// A badRequest is an error that the client caused.
type badRequest struct{ error }

// predict classifies a PNG or JPEG image or, as application/json, a tensor. The shape, the outputs
// and the class names are those of one network, even when a swap happens during the call.
func (s *service) predict(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	var a answer
	// The body is read before Use, so that a slow client does not keep a replaced network open.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		err = badRequest{err}
	} else {
		err = s.live.Use(func(p *sdk.Predictor) (err error) {
			a, err = answerWith(p, r, body)
			return err
		})
	}
	status := http.StatusOK
	switch bad := (badRequest{}); {
	case err == nil:
		s.write(w, a)
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	case errors.Is(err, context.Canceled):
		status = 499 // the client closed the connection; only the log shows the status
	default:
		status = http.StatusServiceUnavailable
	}
	if err != nil {
		http.Error(w, err.Error(), status)
	}
	s.log.InfoContext(r.Context(), "predict", "status", status, "examples", len(a.Examples), "model", a.Model, "took", time.Since(start).String(), "error", err)
}

func (s *service) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Warn("answer not sent", "error", err)
	}
}

func answerWith(p *sdk.Predictor, r *http.Request, body []byte) (answer, error) {
	top := 5
	if text := r.URL.Query().Get("top"); text != "" {
		var err error
		if top, err = strconv.Atoi(text); err != nil || top < 1 {
			return answer{}, badRequest{fmt.Errorf("top is %q, want a number of 1 or more", text)}
		}
	}
	info := p.Info()
	x, err := input(r.Header.Get("Content-Type"), body, info.Input().Example())
	if err != nil {
		return answer{}, badRequest{err}
	}
	rows, err := p.Classify(r.Context(), x, top)
	if err != nil {
		return answer{}, err
	}
	a := answer{Model: info.Model, Level: p.Level(), Examples: make([][]class, len(rows))}
	for i, row := range rows {
		for _, c := range row {
			a.Examples[i] = append(a.Examples[i], class{c.Index, c.Name, c.Probability})
		}
	}
	return a, nil
}

// input reads a batch of examples of the given shape.
func input(contentType string, content []byte, shape []int) ([]float32, error) {
	if kind, _, _ := mime.ParseMediaType(contentType); kind != "application/json" {
		return data.DecodeImage(bytes.NewReader(content), shape)
	}
	var body struct {
		Shape []int `json:"shape"` // [n, shape of one example]
		// row-major, in the unit of the network's input: images in [0, 1]
		Data []float32 `json:"data"`
	}
	if err := json.Unmarshal(content, &body); err != nil {
		return nil, err
	}
	if len(body.Shape) == 0 || !slices.Equal(body.Shape[1:], shape) || body.Shape[0] < 1 || body.Shape[0] > maxExamples {
		return nil, fmt.Errorf("want a tensor of shape [n %v] with n of 1 to %d, got %v", shape, maxExamples, body.Shape)
	}
	count := 1
	for _, dim := range body.Shape {
		count *= dim
	}
	if len(body.Data) != count {
		return nil, fmt.Errorf("shape %v has %d elements, got %d", body.Shape, count, len(body.Data))
	}
	return body.Data, nil
}
