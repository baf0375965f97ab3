// Serve answers over HTTP with a network from a file. It imports no model: the file has its program, its preprocessing and
// its class names.
//
//	go run github.com/compressaware/cram/examples/own-model/serve -level topk:0.8 own.cram
//	curl --data-binary @picture.png localhost:8080
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/data"
)

func main() {
	level := flag.String("level", "topk:0.8", "level of the file to serve")
	address := flag.String("address", "localhost:8080", "where to listen")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("give one file, for example: serve own.cram")
	}
	p, err := sdk.LoadSparse(flag.Arg(0), sdk.Level(*level))
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serve(ctx, *address, handler(p)); err != nil {
		log.Print(err)
	}
}

// serve answers until ctx ends, and lets requests in flight finish.
func serve(ctx context.Context, address string, h http.Handler) error {
	server := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- server.Shutdown(grace)
	}()
	log.Printf("listening on %s", address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

// answer is what a client gets for an image.
type answer struct {
	Class  string    `json:"class"`
	Level  string    `json:"level"`
	Logits []float32 `json:"logits"`
}

// handler classifies the PNG or JPEG image in a request's body. A Predictor may be used by many requests at once.
func handler(p *sdk.Predictor) http.Handler {
	input := p.Info().Input
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, err := data.DecodeImage(http.MaxBytesReader(w, r.Body, 10<<20), input.Shape)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		y, err := p.Predict(r.Context(), tensor.New(tensor.WithShape(append([]int{1}, input.Shape...)...), tensor.WithBacking(x)))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		a := answer{Level: p.Level(), Logits: y.Float32s()}
		best := 0
		for i, v := range a.Logits {
			if v > a.Logits[best] {
				best = i
			}
		}
		if best < len(input.Classes) { // a network may have no names for its classes
			a.Class = input.Classes[best]
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a)
	})
}
