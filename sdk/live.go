package sdk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
)

// A Live is the Predictor of a service that changes its model while it answers: [Live.Swap] puts another in its place without a gap.
// Every call is answered by one Predictor from beginning to end, the one that was in place when it began, which is closed when the
// last such call is done. The zero value has no Predictor yet, nil never will. It is safe for concurrent use.
//
//	var live sdk.Live
//	err := live.Swap(first)
//	…
//	next, err := sdk.LoadSparse("net.cram") // an error leaves the first in place
//	err = live.Swap(next)
type Live struct {
	mu      sync.RWMutex // guards what follows
	current *served
	closed  bool
}

// served is a Predictor with the calls that use it.
type served struct {
	*Predictor
	calls sync.WaitGroup // Add only under Live.mu, while it is current
}

// Use calls do with the Predictor in place, which stays open until do returns: what it answers and what it says about itself belong
// together. do must not swap or close the Live, which would wait for itself.
func (l *Live) Use(do func(*Predictor) error) error {
	if do == nil {
		return errors.New("sdk: Live.Use: the function is nil")
	}
	s, err := l.enter()
	if err != nil {
		return err
	}
	defer s.calls.Done()
	return do(s.Predictor)
}

func (l *Live) enter() (*served, error) {
	if l == nil {
		return nil, errNoLive
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("sdk: Live: %w", backends.ErrClosed)
	case l.current == nil:
		return nil, errors.New("sdk: Live has no Predictor yet; give it one with Swap")
	}
	l.current.calls.Add(1)
	return l.current, nil
}

// Predict is [Predictor.Predict] of the Predictor in place.
func (l *Live) Predict(ctx context.Context, x *tensor.Dense) (y *tensor.Dense, err error) {
	err = l.Use(func(p *Predictor) error {
		y, err = p.Predict(ctx, x)
		return err
	})
	return y, err
}

// Swap puts p in place at once, then waits for the calls that the one before still answers and closes it. From then on p is the Live's to
// close. An error means that p was not taken and what answered still does, unless it wraps [ErrRetired].
func (l *Live) Swap(p *Predictor) error {
	if p.empty() {
		return fmt.Errorf("sdk: Live.Swap: %w", errEmpty)
	}
	old, err := l.replace(p)
	if err != nil {
		return err
	}
	return old.retire()
}

// ErrRetired is what the error of Swap wraps when the new Predictor is in place and closing the old one failed.
var ErrRetired = errors.New("closing the Predictor that was replaced")

var errNoLive = errors.New("sdk: the Live is nil; make one with new(sdk.Live)")

func (l *Live) replace(p *Predictor) (old *served, err error) {
	if l == nil {
		return nil, errNoLive
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("sdk: Live.Swap: %w", backends.ErrClosed)
	case l.current != nil && l.current.Predictor == p:
		return nil, errors.New("sdk: Live.Swap: this Predictor is in place already")
	}
	old, l.current = l.current, &served{Predictor: p}
	return old, nil
}

// retire waits for the calls and closes the Predictor. Nobody can enter any more.
func (s *served) retire() error {
	if s == nil {
		return nil
	}
	s.calls.Wait()
	if err := s.Close(); err != nil {
		return fmt.Errorf("sdk: %w: %w", ErrRetired, err)
	}
	return nil
}

// Close waits for the calls in flight and closes the Predictor in place. Calls after it return backends.ErrClosed.
func (l *Live) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	old := l.current
	l.current, l.closed = nil, true
	l.mu.Unlock()
	return old.retire()
}
