package compress

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// Func returns a Compressor that calls f. The training step is split around it, because f runs on
// the host.
//
// The name is the result of String. The levels of a checkpoint have it, so that it has no white
// space and is not a name that [Parse] reads. f must fulfill the contract of [Compressor].Compress;
// [Mask] and [Values] make its results. Another name or a nil f is an error of Compress, and of a
// training or a compression before it starts.
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
		return fmt.Errorf("compress: Func(%q, f): want a name and a function", f.name)
	}
	if strings.ContainsFunc(f.name, unicode.IsSpace) {
		return fmt.Errorf("compress: Func(%q, f): want a name without white space", f.name)
	}
	if c, err := Parse(f.name); err == nil {
		return fmt.Errorf("compress: Func(%q, f): want a name of its own, got the name of the built-in compressor %v", f.name, c)
	}
	return nil
}

func (f function) Compress(ctx context.Context, w []Weight) ([]Compressed, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.f(ctx, w)
}
