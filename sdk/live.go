package sdk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
)

// A Live holds the Predictor of a service that replaces its model while it runs: [Live.Swap] does
// so without a gap. Each call uses one Predictor from beginning to end, the current one when it
// began; a replaced Predictor is closed once its last call is done. The zero value has no Predictor
// yet. A Live is safe for concurrent use.
//
//	var live sdk.Live
//	err := live.Swap(first)
//	…
//	next, err := sdk.LoadSparse(ctx, "net.cram", sdk.PredictorOptions{}) // an error changes nothing
//	err = live.Swap(next)
type Live struct {
	mu      sync.RWMutex // guards what follows
	current *served
	closed  bool
}

// served is a Predictor with the calls that use it.
type served struct {
	*Predictor
	calls sync.WaitGroup // Add only under Live.mu, and only while it is current
}

// Use calls do with the current Predictor, which remains open until do returns. do must not call
// Swap or Close, which would wait for it.
func (l *Live) Use(do func(*Predictor) error) error {
	if do == nil {
		return errors.New("sdk: Live.Use: want a function, got nil")
	}
	s, err := l.enter()
	if err != nil {
		return err
	}
	defer s.calls.Done()
	return do(s.Predictor)
}

func (l *Live) enter() (*served, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("sdk: Live: %w", backends.ErrClosed)
	case l.current == nil:
		return nil, errors.New("sdk: Live: want a Predictor, got none yet; call Swap first")
	}
	l.current.calls.Add(1)
	return l.current, nil
}

// Predict is [Predictor.Predict] of the current Predictor.
func (l *Live) Predict(ctx context.Context, x *tensor.Dense) (y *tensor.Dense, err error) {
	err = l.Use(func(p *Predictor) error {
		y, err = p.Predict(ctx, x)
		return err
	})
	return y, err
}

// Swap makes p the current Predictor at once, then waits for the calls of the one before and closes
// it. The Live closes p from then on. After an error that does not wrap [ErrRetired], p was not
// taken and the current Predictor is the same as before.
func (l *Live) Swap(p *Predictor) error {
	if p == nil || p.exec == nil {
		return errors.New("sdk: Live.Swap: want a Predictor, got none")
	}
	old, err := l.replace(p)
	if err != nil {
		return err
	}
	return old.retire()
}

// ErrRetired is returned (wrapped) by Swap and Close when closing the replaced Predictor failed.
// After Swap the new one is current all the same.
var ErrRetired = errors.New("closing the Predictor that was replaced")

func (l *Live) replace(p *Predictor) (old *served, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("sdk: Live.Swap: %w", backends.ErrClosed)
	case l.current != nil && l.current.Predictor == p:
		return nil, errors.New("sdk: Live.Swap: want another Predictor than the current one")
	}
	old, l.current = l.current, &served{Predictor: p}
	return old, nil
}

// retire waits for the calls and closes the Predictor, which is no longer current.
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

// Close waits for the calls in flight and closes the current Predictor. Calls after it return
// backends.ErrClosed.
func (l *Live) Close() error {
	l.mu.Lock()
	old := l.current
	l.current, l.closed = nil, true
	l.mu.Unlock()
	return old.retire()
}
