package compresstest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// panicError is a panic of a compressor.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// call compresses a copy of w. It returns a panic as an error.
func call(ctx context.Context, c compress.Compressor, w []compress.Weight) (out []compress.Compressed, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{p, debug.Stack()}
		}
	}()
	return c.Compress(ctx, clone(w))
}

// each calls f with every finite sample and the valid result of c for it.
func each(ctx context.Context, c compress.Compressor, o Options, f func(s sample, out []compress.Compressed) error) error {
	all, err := finiteSamples(o)
	if err != nil {
		return err
	}
	for _, s := range all {
		out, err := call(ctx, c, s.weights)
		if err == nil {
			err = compress.Check(c, s.weights, out)
		}
		if err == nil {
			err = f(s, out)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func checkName(ctx context.Context, c compress.Compressor, o Options) error {
	name := c.String()
	if name == "" || strings.ContainsAny(name, " \t\r\n") {
		return fmt.Errorf("String(): want a name without white space, got %q", name)
	}
	if again := c.String(); again != name {
		return fmt.Errorf("String() is %q and then %q", name, again)
	}
	parsed, err := compress.Parse(name)
	if err != nil {
		return nil // the names of other packages' compressors need not parse
	}
	if again := parsed.String(); again != name {
		return fmt.Errorf("String() is %q but Parse of it has String() %q", name, again)
	}
	return each(ctx, c, o, func(s sample, out []compress.Compressed) error {
		other, err := call(ctx, parsed, s.weights)
		if err == nil {
			err = same(s.weights, out, other)
		}
		if err != nil {
			return fmt.Errorf("Parse(%q) is another compressor: %w", name, err)
		}
		return nil
	})
}

func checkResults(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(sample, []compress.Compressed) error { return nil })
}

func checkPromise(ctx context.Context, c compress.Compressor, o Options) error {
	if o.Promise == nil {
		return nil
	}
	return each(ctx, c, o, func(s sample, out []compress.Compressed) error {
		for i, w := range s.weights {
			if err := o.Promise(w, out[i]); err != nil {
				return fmt.Errorf("tensor %s: %w", w.Name, err)
			}
		}
		return nil
	})
}

func checkEmpty(ctx context.Context, c compress.Compressor, _ Options) error {
	out, err := call(ctx, c, nil)
	if err != nil {
		return fmt.Errorf("no weights: want an empty result, got error: %w", err)
	}
	return compress.Check(c, nil, out)
}

func checkInput(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(s sample, _ []compress.Compressed) error {
		given := clone(s.weights)
		if _, err := c.Compress(ctx, given); err != nil {
			return err
		}
		for i, w := range s.weights {
			if !reflect.DeepEqual(given[i].Meta, w.Meta) || !equal(given[i].Data, w.Data) {
				return fmt.Errorf("tensor %s was changed by Compress; return new values instead", w.Name)
			}
		}
		return nil
	})
}

func checkRepeat(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(s sample, out []compress.Compressed) error {
		again, err := call(ctx, c, s.weights)
		if err != nil {
			return err
		}
		return same(s.weights, out, again)
	})
}

// checkOwnership tests that later calls do not change a result.
func checkOwnership(ctx context.Context, c compress.Compressor, o Options) error {
	type held struct {
		sample
		out, copied []compress.Compressed
	}
	var all []held
	err := each(ctx, c, o, func(s sample, out []compress.Compressed) error {
		copied := make([]compress.Compressed, len(out))
		for i, x := range out {
			copied[i] = compress.Compressed{Mask: x.Mask.Clone(), Values: x.Values.Clone(), Pattern: x.Pattern, Skipped: x.Skipped}
		}
		all = append(all, held{s, out, copied})
		return nil
	})
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := same(h.weights, h.copied, h.out); err != nil {
			return fmt.Errorf("%s: a later call changed the result: %w", h.name, err)
		}
	}
	return nil
}

func checkNotFinite(ctx context.Context, c compress.Compressor, o Options) error {
	all, err := otherSamples(o)
	if err != nil {
		return err
	}
	for _, s := range all {
		out, err := call(ctx, c, s.weights)
		if err != nil {
			if p := (*panicError)(nil); errors.As(err, &p) {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			continue // a compressor may refuse such weights
		}
		if err := compress.Check(c, s.weights, out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		again, err := call(ctx, c, s.weights)
		if err == nil {
			err = same(s.weights, out, again)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func checkConcurrent(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(s sample, out []compress.Compressed) error {
		shared := clone(s.weights) // read concurrently, so that the race detector reports a write
		faults := make([]error, 4)
		var wait sync.WaitGroup
		for i := range faults {
			wait.Go(func() {
				for range 3 {
					got, err := c.Compress(ctx, shared)
					if err == nil {
						err = same(shared, out, got)
					}
					faults[i] = cmp.Or(faults[i], err)
				}
			})
		}
		wait.Wait()
		return cmp.Or(faults...)
	})
}

func checkCancel(ctx context.Context, c compress.Compressor, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	all, err := finiteSamples(o)
	if err != nil {
		return err
	}
	if _, err := call(ctx, c, all[0].weights); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the context was canceled before the call: want context.Canceled, got %v", err)
	}
	return nil
}

// same returns an error if two results for w differ.
func same(w []compress.Weight, a, b []compress.Compressed) error {
	if len(a) != len(b) {
		return fmt.Errorf("one result has %d entries, the other %d", len(a), len(b))
	}
	for i := range a {
		switch {
		case !equal(a[i].Mask, b[i].Mask):
			return fmt.Errorf("tensor %s: masks differ", w[i].Name)
		case !equal(a[i].Values, b[i].Values):
			return fmt.Errorf("tensor %s: values differ", w[i].Name)
		case a[i].Skipped != b[i].Skipped:
			return fmt.Errorf("tensor %s: skipped differs: %q and %q", w[i].Name, a[i].Skipped, b[i].Skipped)
		}
	}
	return nil
}

// equal compares type, dimensions and bytes.
func equal(a, b array.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Dims, b.Dims) && bytes.Equal(a.Data, b.Data)
}
