package sdk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/tensor"

	"github.com/compressaware/cram/backends"
)

// A Live is the Predictor of a service that replaces its model while it runs. A call uses the
// Predictor that is current when the call begins, until the call ends. [Live.Swap] replaces the
// current Predictor and closes the old one after its last call. The zero value has no Predictor,
// and calls return an error until the first Swap. A Live is safe for concurrent use.
//
//	var live sdk.Live
//	err := live.Swap(first)
//	…
//	next, err := sdk.LoadSparse(ctx, "net.cram", sdk.PredictorOptions{})
//	err = live.Swap(next)
type Live struct {
	mu      sync.RWMutex // guards current and closed
	current *served
	closed  bool
}

// served is a Predictor and the calls that use it.
type served struct {
	*Predictor
	calls sync.WaitGroup // Add is called only with Live.mu locked and while the Predictor is current
}

// Use calls do with the current Predictor, which is not closed before do returns, and returns the
// error of do. A call of Swap or Close inside do blocks forever, since both wait for do. After
// Close the error wraps backends.ErrClosed.
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

// enter adds a call to the current Predictor.
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

// Swap makes p the current Predictor, waits for the calls of the previous one and closes it. From
// then on Swap and Close close p. If Swap returns an error that does not wrap [ErrRetired], the
// current Predictor is unchanged and the caller closes p.
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

// ErrRetired is returned (wrapped) by [Live.Swap] and [Live.Close] when the Close of the previous
// Predictor fails. After Swap the new Predictor is current.
var ErrRetired = errors.New("closing the Predictor that was replaced")

// replace makes p the current Predictor and returns the previous one.
func (l *Live) replace(p *Predictor) (old *served, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, fmt.Errorf("sdk: Live.Swap: %w", backends.ErrClosed)
	case l.current != nil && l.current.Predictor == p:
		return nil, errors.New("sdk: Live.Swap: want another Predictor than the current one, got the same")
	}
	old, l.current = l.current, &served{Predictor: p}
	return old, nil
}

// retire waits for the calls and closes the Predictor, which is not current.
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

// Close waits for the calls that have begun and closes the current Predictor. Later calls return
// backends.ErrClosed (wrapped).
func (l *Live) Close() error {
	l.mu.Lock()
	old := l.current
	l.current, l.closed = nil, true
	l.mu.Unlock()
	return old.retire()
}
