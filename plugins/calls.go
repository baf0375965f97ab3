package plugins

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// calls are those that a plugin has under way.
type calls struct {
	mu       sync.Mutex
	running  map[uint64]context.CancelFunc
	early    map[uint64]bool // cancelled before they began: the two messages may overtake each other
	draining bool
	idle     chan struct{} // closed when draining and none is running
}

// mostEarly bounds what a host can make a plugin remember.
const mostEarly = 1024

func newCalls() *calls {
	return &calls{running: map[uint64]context.CancelFunc{}, early: map[uint64]bool{}, idle: make(chan struct{})}
}

// begin opens a call. Its context ends when the host cancels it, not when the message is given up: only its answer says what became of it.
func (c *calls) begin(call uint64) (context.Context, func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return nil, nil, status.Error(codes.FailedPrecondition, "the plugin is draining and accepts no more calls")
	}
	if _, ok := c.running[call]; ok {
		return nil, nil, status.Errorf(codes.InvalidArgument, "call %d is under way already", call)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if c.early[call] {
		delete(c.early, call)
		cancel()
	}
	c.running[call] = cancel
	return ctx, func() {
		cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.running, call)
		c.rest()
	}, nil
}

func (c *calls) cancel(call uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cancel, ok := c.running[call]; ok {
		cancel()
	} else if len(c.early) < mostEarly {
		c.early[call] = true
	}
}

// drain accepts no more calls and waits for those under way.
func (c *calls) drain(ctx context.Context) error {
	c.mu.Lock()
	if !c.draining {
		c.draining = true
		c.rest()
	}
	c.mu.Unlock()
	select {
	case <-c.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rest notices that nothing is left to wait for; mu is held.
func (c *calls) rest() {
	if c.draining && len(c.running) == 0 {
		select {
		case <-c.idle:
		default:
			close(c.idle)
		}
	}
}
