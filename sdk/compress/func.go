package compress

import (
	"context"
	"fmt"
)

// Func makes a Compressor of a caller's own function. It has a host form only, so a training step is cut around it.
//
// The name is what String returns; it should not be one that [Parse] reads, because Parse cannot bring the function back.
// f answers for every weight, in order, changes none, and is deterministic and safe for concurrent use; [Mask] and
// [Values] make its answers. An empty name or no function is an error of Compress.
func Func(name string, f func(ctx context.Context, w []Weight) ([]Compressed, error)) Compressor {
	return function{name, f}
}

type function struct {
	name string
	f    func(context.Context, []Weight) ([]Compressed, error)
}

func (f function) String() string { return f.name }

func (f function) Check() error {
	if f.name == "" || f.f == nil {
		return fmt.Errorf("Func(%q, f): want a name and a function", f.name)
	}
	return nil
}

func (f function) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	if err := CheckCompressor(f); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.f(ctx, w)
}
