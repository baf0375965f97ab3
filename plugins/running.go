package plugins

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// runningCalls are the calls that a plugin is running.
type runningCalls struct {
	mu        sync.Mutex
	cancels   map[uint64]context.CancelFunc
	cancelled map[uint64]bool // cancelled before their start: Cancel can arrive before the call
	draining  bool
	idle      chan struct{} // closed when draining and no call is running
}

// maxCancelled is the number of entries of runningCalls.cancelled.
const maxCancelled = 1024

func newRunningCalls() *runningCalls {
	return &runningCalls{cancels: map[uint64]context.CancelFunc{}, cancelled: map[uint64]bool{}, idle: make(chan struct{})}
}

// start starts a call. Its context ends when the host cancels the call, not with the context of the
// gRPC call: the host waits for the result of a cancelled call.
func (r *runningCalls) start(id uint64) (ctx context.Context, end func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining {
		return nil, nil, status.Error(codes.FailedPrecondition, "the plugin is draining and accepts no more calls")
	}
	if _, ok := r.cancels[id]; ok {
		return nil, nil, status.Errorf(codes.InvalidArgument, "call %d is already running", id)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if r.cancelled[id] {
		delete(r.cancelled, id)
		cancel()
	}
	r.cancels[id] = cancel
	return ctx, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.cancels, id)
		r.checkIdle()
	}, nil
}

func (r *runningCalls) cancel(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if cancel, ok := r.cancels[id]; ok {
		cancel()
	} else if len(r.cancelled) < maxCancelled {
		r.cancelled[id] = true
	}
}

// drain accepts no more calls and waits for the running ones.
func (r *runningCalls) drain(ctx context.Context) error {
	r.mu.Lock()
	if !r.draining {
		r.draining = true
		r.checkIdle()
	}
	r.mu.Unlock()
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *runningCalls) isDraining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}

// checkIdle closes idle when drain has nothing to wait for. The caller holds mu.
func (r *runningCalls) checkIdle() {
	if r.draining && len(r.cancels) == 0 {
		select {
		case <-r.idle:
		default:
			close(r.idle)
		}
	}
}
