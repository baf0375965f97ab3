// Service serves a network from a file over HTTP. It imports no model: the file contains the
// program, the preprocessing and the class names. When the file changes, the service loads it and
// replaces the network without a gap. A file that cannot be loaded is logged, and the network
// before it goes on answering.
//
//	go run github.com/compressaware/cram/examples/service -level topk:0.8 own.cram
//	curl --data-binary @picture.png localhost:8080/predict
//	curl -H 'Content-Type: application/json' -d '{"shape": [1, 3, 24, 24], "data": [0.5, …]}' 'localhost:8080/predict?top=3'
//
// GET /livez returns 200 while the process runs. GET /readyz returns 200 while the process has a
// network and is not stopping. GET /model returns a description of the network. Replace the file by
// a rename, as sdk.Network.Save does. A file that is written in place cannot be loaded until it is
// complete.
//
// SIGTERM or an interrupt stops the process in three steps. It is not ready from then on. It goes
// on answering for the duration -drain, in which a load balancer can react. Then it accepts no new
// connections, and waits for the requests in flight, at most for the duration -grace. A second
// signal ends it at once. Logs are JSON, one object on each line of standard error.
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
	flag.StringVar(&c.level, "level", "", "level to serve; not needed for a file with one level")
	flag.StringVar(&c.address, "address", "localhost:8080", "address to listen on")
	flag.DurationVar(&c.poll, "poll", 2*time.Second, "time between two checks for a changed file")
	flag.DurationVar(&c.drain, "drain", 0, "time in which a stopping process still accepts connections")
	flag.DurationVar(&c.grace, "grace", 10*time.Second, "time that requests in flight have when the process stops")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if flag.NArg() != 1 || c.poll <= 0 {
		fmt.Fprintln(os.Stderr, "want one file and a -poll above 0, for example: service own.cram")
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

// run serves until ctx ends. The watcher loads the first network like every later one, so the
// process runs before it is ready, and the file may be created later.
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
	w := watcher{file: c.file, options: sdk.PredictorOptions{Level: c.level}, live: &s.live, log: log}
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
	if err == nil { // otherwise a request that was cut off may still use the network
		err = s.live.Close()
	}
	if err == nil {
		log.Info("stopped")
	}
	return err
}
