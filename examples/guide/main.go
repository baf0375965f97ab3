// Guide serves one level of a file over HTTP, and replaces the network while it answers. It is the
// second program of docs/guide.md.
//
//	go run github.com/compressaware/cram/examples/guide shapes.cram topk:0.9
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("want two arguments, FILE and LEVEL, for example: shapes.cram topk:0.9")
	}
	s := &server{file: os.Args[1], level: os.Args[2]}
	if err := s.load(context.Background()); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "localhost:8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("%s of %s at http://%s", s.level, s.file, listener.Addr())
	log.Fatal(http.Serve(listener, s.routes()))
}

type server struct {
	file, level string
	live        sdk.Live // the predictor that answers
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /predict", s.predict)
	mux.HandleFunc("POST /reload", s.reload)
	return mux
}

// load reads the file and makes its network the one that answers. After an error the network before
// it goes on answering.
func (s *server) load(ctx context.Context) error {
	p, err := sdk.LoadSparse(ctx, s.file, sdk.PredictorOptions{Level: s.level})
	if err != nil {
		return err
	}
	return s.live.Swap(p)
}

func (s *server) reload(w http.ResponseWriter, r *http.Request) {
	if err := s.load(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	io.WriteString(w, "loaded\n")
}

// predict classifies the PNG or JPEG image in the body of the request.
func (s *server) predict(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20)) // at most 16 MiB
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var classes [][]sdk.Class
	err = s.live.Use(func(p *sdk.Predictor) error {
		x, err := data.DecodeImage(bytes.NewReader(body), p.Info().Input().Example())
		if err != nil {
			return err
		}
		classes, err = p.Classify(r.Context(), x, 3)
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	if err := json.NewEncoder(w).Encode(classes[0]); err != nil {
		log.Print(err)
	}
}
