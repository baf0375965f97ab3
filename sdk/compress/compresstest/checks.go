package compresstest

import (
	"bytes"
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

// call compresses a copy of w. A panic is an error.
func call(ctx context.Context, c compress.Compressor, w []compress.Weight) (out []compress.Compressed, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Compress(ctx, clone(w))
}

// each runs f on every finite scene with the answer of c for it, which is sound.
func each(ctx context.Context, c compress.Compressor, o Options, f func(s scene, out []compress.Compressed) error) error {
	all, err := scenes(o)
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
		return fmt.Errorf("String() is %q; want a name without white space", name)
	}
	if again := c.String(); again != name {
		return fmt.Errorf("String() is %q and then %q", name, again)
	}
	parsed, err := compress.Parse(name)
	if err != nil {
		return nil // a name that Parse does not read is an operator's right
	}
	if again := parsed.String(); again != name {
		return fmt.Errorf("String() is %q but Parse of it has String() %q", name, again)
	}
	return each(ctx, c, o, func(s scene, out []compress.Compressed) error {
		other, err := call(ctx, parsed, s.weights)
		if err == nil {
			err = same(s.weights, out, other)
		}
		if err != nil {
			return fmt.Errorf("Parse(%q) is another operator: %w", name, err)
		}
		return nil
	})
}

func checkAnswers(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(scene, []compress.Compressed) error { return nil })
}

func checkPromise(ctx context.Context, c compress.Compressor, o Options) error {
	if o.Promise == nil {
		return nil
	}
	return each(ctx, c, o, func(s scene, out []compress.Compressed) error {
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
		return fmt.Errorf("no weights: want an empty answer, got error %w", err)
	}
	return compress.Check(c, nil, out)
}

func checkInput(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(s scene, _ []compress.Compressed) error {
		given := clone(s.weights)
		if _, err := c.Compress(ctx, given); err != nil {
			return err
		}
		for i, w := range s.weights {
			if !reflect.DeepEqual(given[i].Meta, w.Meta) || !equal(given[i].Data, w.Data) {
				return fmt.Errorf("tensor %s was changed by Compress; answer with new values instead", w.Name)
			}
		}
		return nil
	})
}

func checkRepeat(ctx context.Context, c compress.Compressor, o Options) error {
	return each(ctx, c, o, func(s scene, out []compress.Compressed) error {
		again, err := call(ctx, c, s.weights)
		if err != nil {
			return err
		}
		return same(s.weights, out, again)
	})
}

// checkOwnership sees to it that an answer stays as it is while later calls are made.
func checkOwnership(ctx context.Context, c compress.Compressor, o Options) error {
	type held struct {
		scene
		out, copied []compress.Compressed
	}
	var all []held
	err := each(ctx, c, o, func(s scene, out []compress.Compressed) error {
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
			return fmt.Errorf("%s: a later call changed the answer: %w", h.name, err)
		}
	}
	return nil
}

func checkNotFinite(ctx context.Context, c compress.Compressor, o Options) error {
	all, err := notFinite(o)
	if err != nil {
		return err
	}
	for _, s := range all {
		out, err := call(ctx, c, s.weights)
		if err != nil {
			if strings.HasPrefix(err.Error(), "panic: ") {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			continue // refusing them is an operator's right
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
	return each(ctx, c, o, func(s scene, out []compress.Compressed) error {
		shared := clone(s.weights) // read by all at once, so that the race detector sees a write
		problems := make([]error, 4)
		var wait sync.WaitGroup
		for i := range problems {
			wait.Go(func() {
				for range 3 {
					got, err := c.Compress(ctx, shared)
					if err == nil {
						err = same(shared, out, got)
					}
					problems[i] = errors.Join(problems[i], err)
				}
			})
		}
		wait.Wait()
		return errors.Join(problems...)
	})
}

func checkCancel(ctx context.Context, c compress.Compressor, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	all, err := scenes(o)
	if err != nil {
		return err
	}
	if _, err := call(ctx, c, all[0].weights); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the context was cancelled before the call; want context.Canceled, got %v", err)
	}
	return nil
}

// same returns how two answers for w differ, or nil.
func same(w []compress.Weight, a, b []compress.Compressed) error {
	if len(a) != len(b) {
		return fmt.Errorf("one answer is for %d weights, the other for %d", len(a), len(b))
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

// equal compares type, extents and bytes.
func equal(a, b array.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Dims, b.Dims) && bytes.Equal(a.Data, b.Data)
}
