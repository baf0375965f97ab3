// Service answers over HTTP with a network from a file, with nothing but the standard library and cram. It imports no model: the file has its
// program, its preprocessing and its class names. When the file changes it goes over to the new one without a gap; a file that does
// not load is logged, and the network in place goes on.
//
//	go run github.com/compressaware/cram/examples/service -level topk:0.8 own.cram
//	curl --data-binary @picture.png localhost:8080/predict
//	curl -H 'Content-Type: application/json' -d '{"shape": [1, 3, 24, 24], "data": [0.5, …]}' 'localhost:8080/predict?top=3'
//
// GET /livez says 200 while the process runs: restart it when it does not. GET /readyz says 200 while it has a network and is not
// stopping: send it requests then. GET /model says what answers. Replace the file by renaming another onto it, as
// sdk.Network.Save does; one that is written in place does not load until it is whole.
//
// SIGTERM or an interrupt stops it: it is no longer ready at once, goes on answering for -drain so that a load balancer can notice, takes no
// new connections then, and gives the requests in flight -grace to finish. A second signal ends it at once. Logs are JSON, one object a line, on standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/compressaware/cram/sdk"
)

type config struct {
	file, level, address string
	poll, drain, grace   time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.level, "level", "", "level of the file to serve; may be left out if it has one only")
	flag.StringVar(&c.address, "address", "localhost:8080", "where to listen")
	flag.DurationVar(&c.poll, "poll", 2*time.Second, "how often to look whether the file has changed")
	flag.DurationVar(&c.drain, "drain", 0, "how long to go on answering, no longer ready, before stopping")
	flag.DurationVar(&c.grace, "grace", 10*time.Second, "how long requests in flight may take when stopping")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if flag.NArg() != 1 || c.poll <= 0 {
		fmt.Fprintln(os.Stderr, "give one file and a -poll of more than 0, for example: service own.cram")
		os.Exit(2)
	}
	c.file = flag.Arg(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, c, log)
	stop()
	if err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It is alive before it is ready: the first network is loaded as every later one is, and a file that is not there
// yet is waited for.
func run(ctx context.Context, c config, log *slog.Logger) error {
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		return err
	}
	s := &service{log: log}
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	log.Info("listening", "address", listener.Addr().String(), "file", c.file)

	background, stop := context.WithCancel(context.Background())
	defer stop()
	var watching sync.WaitGroup
	w := watcher{file: c.file, options: []sdk.Option{sdk.Level(c.level)}, live: &s.live, log: log}
	watching.Go(func() { w.watch(background, c.poll) })
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()

	select {
	case <-ctx.Done():
		log.Info("stopping", "drain", c.drain.String(), "grace", c.grace.String())
		s.stopping.Store(true)
		time.Sleep(c.drain)
		grace, cancel := context.WithTimeout(context.Background(), c.grace)
		defer cancel()
		err = server.Shutdown(grace)
		if err != nil {
			err = errors.Join(fmt.Errorf("requests were cut off: %w", err), server.Close())
		}
	case err = <-serving:
	}
	stop()
	watching.Wait()
	if err == nil { // a request that was cut off may still use the network, and the process ends anyway
		err = s.live.Close()
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}
