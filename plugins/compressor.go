package plugins

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/compressaware/cram/plugins/internal/memory"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
)

// ErrClosed is returned by every call of a compressor that is closed.
var ErrClosed = errors.New("plugins: closed")

// Compressor is a [compress.Compressor] in a process of its own. Its text name is the one that the plugin declares.
//
// When its plugin dies, the calls under way are errors ([*DiedError]); the next call starts the plugin anew, after a pause that
// doubles from 100 ms to 5 s with every start that no successful call followed. The zero value, and nil, are one that is closed;
// [LaunchCompressor] makes one.
type Compressor struct {
	command Command
	info    Info
	turn    chan struct{} // held by who changes the fields below
	link    *link         // nil: closed
	deaths  int           // in a row
}

var _ compress.Compressor = (*Compressor)(nil)

// LaunchCompressor starts a plugin that is a compressor. Close it when done.
func LaunchCompressor(ctx context.Context, command Command) (*Compressor, error) {
	l, info, err := launch(ctx, command)
	if err != nil {
		return nil, err
	}
	if info.Compressor == nil {
		l.close()
		return nil, fmt.Errorf("plugins: %s is no compressor but the backend %s; use LaunchBackend", command.Path, info.Backend.Name)
	}
	return &Compressor{command: l.command, info: info, turn: make(chan struct{}, 1), link: l}, nil
}

// String returns the text name that the plugin declares.
func (c *Compressor) String() string {
	if c.empty() {
		return ""
	}
	return c.info.Compressor.Name
}

func (c *Compressor) empty() bool { return c == nil || c.turn == nil }

// Info returns what the plugin says of itself.
func (c *Compressor) Info() Info {
	if c.empty() {
		return Info{}
	}
	return c.info
}

// Check returns [ErrClosed] once the compressor is closed, so that a training does not begin with it.
func (c *Compressor) Check() error {
	if c.empty() {
		return ErrClosed
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
		if c.link == nil {
			return ErrClosed
		}
	default: // somebody is starting it anew, or closing it: its next call says which
	}
	return nil
}

// Close lets calls under way end and then the plugin, killing it if it takes longer than Command.StopTimeout.
func (c *Compressor) Close() error {
	if c.empty() {
		return nil
	}
	c.turn <- struct{}{}
	l := c.link
	c.link = nil
	<-c.turn
	if l != nil {
		l.close()
	}
	return nil
}

// Compress asks the plugin. What it answers is checked like [compress.Check] does, and against what it declared: errors of that
// kind are a [*ReplyError] that names plugin, tensor and cause.
func (c *Compressor) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	l, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	out, err := l.compress(ctx, c.info.Compressor, w)
	if err != nil {
		return nil, err
	}
	if err := l.checkAnswer(c, w, out); err != nil {
		return nil, err
	}
	c.worked(l)
	return out, nil
}

func (c *Compressor) worked(l *link) {
	select {
	case c.turn <- struct{}{}:
		if c.link == l {
			c.deaths = 0
		}
		<-c.turn
	default: // somebody is starting it anew: it has died meanwhile
	}
}

// running returns a live link, starting the plugin anew if it has died.
func (c *Compressor) running(ctx context.Context) (*link, error) {
	if c.empty() {
		return nil, ErrClosed
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.link == nil {
		return nil, ErrClosed
	}
	if c.link.alive.Err() == nil {
		return c.link, nil
	}
	c.link.end()
	pause := min(100*time.Millisecond<<min(c.deaths, 10), 5*time.Second)
	c.deaths++
	c.command.Log.Warn("plugin died; starting it anew", "plugin", c.command.Path, "state", c.link.process.State(), "after", pause)
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l, info, err := launch(ctx, c.command)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(info, c.info) {
		l.close()
		return nil, fmt.Errorf("plugins: %s was started anew and says something else of itself now; close it and launch it again", c.command.Path)
	}
	c.link = l
	return l, nil
}

// rooms is where the answer for one weight may be written.
type rooms struct{ keep, values memory.Place }

// compress does one remote call and returns the answer with memory of its own, not yet checked beyond what reading it needs.
func (l *link) compress(ctx context.Context, about *CompressorInfo, w []compress.Weight) ([]compress.Compressed, error) {
	var parcel parcel
	request := &protocol.CompressRequest{Weights: make([]*protocol.Weight, len(w))}
	places := make([]rooms, len(w))
	for i, x := range w {
		if err := x.Data.Check(); err != nil {
			return nil, fmt.Errorf("plugins: %s: weight %q: %w", l.command.Path, x.Name, err)
		}
		message := &protocol.Weight{Name: x.Name, Role: protocol.Role(x.Role), First: x.First, Last: x.Last, Data: parcel.tensor(x.Data)}
		if x.Prunable() {
			places[i].keep, message.Keep = parcel.room(array.Bit.Bytes(x.Data.Len()))
		}
		if about.Values {
			places[i].values, message.Values = parcel.room(len(x.Data.Data))
		}
		request.Weights[i] = message
	}
	var out []compress.Compressed
	err := l.carry(ctx, "compress", &parcel, func(ctx context.Context, call uint64, lease *memory.Lease) error {
		request.Call = call
		reply, err := protocol.NewCompressorClient(l.conn).Compress(ctx, request)
		if err != nil {
			return err
		}
		out, err = l.read(ctx, lease, w, places, reply)
		return err
	})
	return out, err
}

// read copies an answer out of memory that the plugin can write to.
func (l *link) read(ctx context.Context, lease *memory.Lease, w []compress.Weight, places []rooms, reply *protocol.CompressReply) ([]compress.Compressed, error) {
	if len(reply.GetAnswers()) != len(w) {
		return nil, l.wrong("", "answered for %d weights, want all %d, in order", len(reply.GetAnswers()), len(w))
	}
	out := make([]compress.Compressed, len(w))
	var written []memory.Place
	for i, a := range reply.GetAnswers() {
		switch {
		case a.GetKeep() && places[i].keep.Bytes == 0:
			return nil, l.wrong(w[i].Name, "it has a mask but its role is %v; only kernels and embeddings are masked", w[i].Role)
		case a.GetValues() && places[i].values.Bytes == 0:
			return nil, l.wrong(w[i].Name, "it has new values, which the plugin did not declare")
		}
		if err := words("the reason for leaving it dense", a.GetSkipped()); err != nil {
			return nil, &ReplyError{l.command.Path, w[i].Name, err}
		}
		out[i] = compress.Compressed{Pattern: pattern(a.GetPattern()), Skipped: a.GetSkipped()}
		if a.GetKeep() {
			written = append(written, places[i].keep)
		}
		if a.GetValues() {
			written = append(written, places[i].values)
		}
	}
	if err := lease.Receive(ctx, written...); err != nil {
		return nil, err
	}
	for i, a := range reply.GetAnswers() {
		var err error
		if a.GetKeep() {
			if out[i].Mask, err = copied(array.Bit, w[i].Data.Dims, lease.Out(places[i].keep)); err != nil {
				return nil, err
			}
		}
		if a.GetValues() {
			if out[i].Values, err = copied(w[i].Data.DType, w[i].Data.Dims, lease.Out(places[i].values)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func copied(d array.DType, dims []int, data []byte) (array.Tensor, error) {
	t, err := array.New(d, dims...)
	copy(t.Data, data)
	return t, err
}

// checkAnswer holds an answer to the contract of compressors and to what the plugin declared.
func (l *link) checkAnswer(c *Compressor, w []compress.Weight, out []compress.Compressed) error {
	if err := compress.Check(c, w, out); err != nil {
		e := &ReplyError{Plugin: l.command.Path, Err: err}
		if answer := (*compress.ResultError)(nil); errors.As(err, &answer) {
			e.Tensor = answer.Tensor
		}
		return e
	}
	declared := c.info.Compressor.Pattern
	for i, a := range out {
		if declared != (compress.Pattern{}) && !a.Mask.None() && (a.Pattern.N != declared.N || a.Pattern.M != declared.M) {
			return l.wrong(w[i].Name, "the plugin declares %d:%d for every mask, and this one promises %d:%d", declared.N, declared.M, a.Pattern.N, a.Pattern.M)
		}
	}
	return nil
}

func (l *link) wrong(tensor, format string, args ...any) error {
	return &ReplyError{l.command.Path, tensor, fmt.Errorf(format, args...)}
}

// carry leases memory for a parcel, sends it, and makes the remote call that reads and fills it.
func (l *link) carry(ctx context.Context, what string, p *parcel, remote func(context.Context, uint64, *memory.Lease) error) error {
	return l.call(ctx, what, func(ctx context.Context, call uint64) error {
		lease, err := l.memory.Lease(ctx, p.in, p.out)
		if err != nil {
			return err
		}
		defer lease.Release() // the plugin has answered, or is dead
		for _, fill := range p.fill {
			fill(lease)
		}
		if err := lease.Send(ctx); err != nil {
			return err
		}
		return remote(ctx, call, lease)
	})
}
