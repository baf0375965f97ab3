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

// Compressor is a [compress.Compressor] in a separate process. [LaunchCompressor] returns one.
// After Close its methods return [backends.ErrClosed].
//
// When its plugin dies, the running calls return a [*DiedError]. The next call restarts the plugin,
// after a pause that doubles from 100 ms to 5 s with each restart that no successful call follows.
type Compressor struct {
	command Command
	info    Info

	lock     chan struct{} // held while the fields below are read or changed
	client   *client       // nil: closed
	restarts int           // since the last successful call
}

var _ compress.MomentUser = (*Compressor)(nil)

// LaunchCompressor starts a plugin that is a compressor. Close ends it.
func LaunchCompressor(ctx context.Context, command Command) (*Compressor, error) {
	p, info, err := launch(ctx, command)
	if err != nil {
		return nil, err
	}
	if info.Compressor == nil {
		p.close()
		return nil, fmt.Errorf("plugins: %s: want a compressor, got the backend %s: use LaunchBackend", command.Path, info.Backend.Name)
	}
	return &Compressor{command: p.command, info: info, lock: make(chan struct{}, 1), client: p}, nil
}

// String returns the text name that the plugin declares.
func (c *Compressor) String() string { return c.info.Compressor.Name }

// Describe returns the description of the plugin.
func (c *Compressor) Describe() Info { return c.info }

// UsesInputMoments reports whether the plugin declares that it uses [compress.Weight.InputMoments].
func (c *Compressor) UsesInputMoments() bool { return c.info.Compressor.InputMoments }

// Check returns [backends.ErrClosed] when the compressor is closed, so that no training starts with
// it.
func (c *Compressor) Check() error {
	select {
	case c.lock <- struct{}{}:
		defer func() { <-c.lock }()
		if c.client == nil {
			return closedError(c.command.Path)
		}
	default: // another call restarts or closes it: the next call returns the error, if any
	}
	return nil
}

// Close waits for the running calls and ends the plugin. A plugin that takes longer than
// Command.StopTimeout is killed.
func (c *Compressor) Close() error {
	c.lock <- struct{}{}
	p := c.client
	c.client = nil
	<-c.lock
	if p != nil {
		p.close()
	}
	return nil
}

// Compress calls the plugin and checks its results like [compress.Check] and against its
// description. An invalid result is a [*ReplyError]. An error or a panic of the plugin's compressor
// is an error with its text, and the plugin keeps running.
func (c *Compressor) Compress(ctx context.Context, w []compress.Weight) ([]compress.Compressed, error) {
	p, err := c.liveClient(ctx)
	if err != nil {
		return nil, err
	}
	out, err := p.compress(ctx, c.info.Compressor, w)
	if err != nil {
		return nil, err
	}
	if err := p.checkResults(c, w, out); err != nil {
		return nil, err
	}
	c.succeeded(p)
	return out, nil
}

func (c *Compressor) succeeded(p *client) {
	select {
	case c.lock <- struct{}{}:
		if c.client == p {
			c.restarts = 0
		}
		<-c.lock
	default: // another call is restarting it
	}
}

// liveClient returns a client whose process is running. It restarts a plugin that has died.
func (c *Compressor) liveClient(ctx context.Context) (*client, error) {
	select {
	case c.lock <- struct{}{}:
		defer func() { <-c.lock }()
	case <-ctx.Done():
		return nil, fmt.Errorf("plugins: %s: compress: %w", c.command.Path, ctx.Err())
	}
	if c.client == nil {
		return nil, closedError(c.command.Path)
	}
	if c.client.alive.Err() == nil {
		return c.client, nil
	}
	c.client.release()
	pause := min(100*time.Millisecond<<min(c.restarts, 10), 5*time.Second)
	c.restarts++
	c.command.Log.Warn("plugin died; restarting it", "plugin", c.command.Path, "state", c.client.process.State(), "after", pause)
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return nil, fmt.Errorf("plugins: %s: restart: %w", c.command.Path, ctx.Err())
	}
	p, info, err := launch(ctx, c.command)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(info, c.info) {
		p.close()
		return nil, fmt.Errorf("plugins: %s: restart: its description has changed: close it and launch it again", c.command.Path)
	}
	c.client = p
	return p, nil
}

// outputSpans are the spans that the result for one weight can be written to.
type outputSpans struct{ mask, values memory.Span }

// compress makes one remote call and returns a copy of the results, which are not checked yet.
func (c *client) compress(ctx context.Context, info *CompressorInfo, w []compress.Weight) ([]compress.Compressed, error) {
	var p payload
	request := &protocol.CompressRequest{Weights: make([]*protocol.Weight, len(w))}
	spans := make([]outputSpans, len(w))
	for i, x := range w {
		if err := x.Data.Check(); err != nil {
			return nil, fmt.Errorf("plugins: %s: weight %q: %w", c.command.Path, x.Name, err)
		}
		m := &protocol.Weight{Name: x.Name, Role: protocol.Role(x.Role), First: x.First, Last: x.Last, Data: p.tensor(x.Data)}
		if info.InputMoments && !x.InputMoments.None() {
			if err := checkInputMoments(x); err != nil {
				return nil, fmt.Errorf("plugins: %s: weight %q: %w", c.command.Path, x.Name, err)
			}
			m.InputMoments = p.tensor(x.InputMoments)
		}
		if x.Prunable() {
			spans[i].mask, m.Mask = p.output(array.Bit.Bytes(x.Data.Len()))
		}
		if info.Values {
			spans[i].values, m.Values = p.output(len(x.Data.Data))
		}
		request.Weights[i] = m
	}
	var out []compress.Compressed
	err := c.callWith(ctx, "compress", &p, func(ctx context.Context, id uint64, pair *memory.Pair) error {
		request.Call = id
		reply, err := protocol.NewCompressorClient(c.conn).Compress(ctx, request)
		if err != nil {
			return err
		}
		out, err = c.readResults(ctx, pair, w, spans, reply)
		return err
	})
	return out, err
}

// readResults copies results out of regions that the plugin can write to.
func (c *client) readResults(
	ctx context.Context, pair *memory.Pair, w []compress.Weight, spans []outputSpans, reply *protocol.CompressReply,
) ([]compress.Compressed, error) {
	if invalid := reply.GetInvalidResult(); invalid != nil {
		return nil, c.replyError(oneLine(invalid.GetTensor()), "%s", oneLine(invalid.GetCause()))
	}
	if len(reply.GetResults()) != len(w) {
		return nil, c.replyError("", "want results for all %d weights, got %d", len(w), len(reply.GetResults()))
	}
	out := make([]compress.Compressed, len(w))
	var written []memory.Span
	for i, r := range reply.GetResults() {
		switch {
		case r.GetMask() && spans[i].mask.Bytes == 0:
			return nil, c.replyError(w[i].Name, "%s", noMask(w[i].Role))
		case r.GetValues() && spans[i].values.Bytes == 0:
			return nil, c.replyError(w[i].Name, "want no new values, which the plugin did not declare, got some")
		}
		if err := checkText("reason of skipping it", r.GetSkipped()); err != nil {
			return nil, &ReplyError{c.command.Path, w[i].Name, err}
		}
		out[i] = compress.Compressed{Pattern: patternOf(r.GetPattern()), Skipped: r.GetSkipped()}
		if r.GetMask() {
			written = append(written, spans[i].mask)
		}
		if r.GetValues() {
			written = append(written, spans[i].values)
		}
	}
	if err := pair.Receive(ctx, written...); err != nil {
		return nil, err
	}
	for i, r := range reply.GetResults() {
		var err error
		if r.GetMask() {
			if out[i].Mask, err = copyOf(array.Bit, w[i].Data.Dims, pair.Out(spans[i].mask)); err != nil {
				return nil, err
			}
		}
		if r.GetValues() {
			if out[i].Values, err = copyOf(w[i].Data.DType, w[i].Data.Dims, pair.Out(spans[i].values)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func copyOf(d array.DType, dims []int, data []byte) (array.Tensor, error) {
	t, err := array.New(d, dims...)
	copy(t.Data, data)
	return t, err
}

// checkResults checks results against the contract of compressors and the plugin's description.
func (c *client) checkResults(of *Compressor, w []compress.Weight, out []compress.Compressed) error {
	if err := compress.Check(of, w, out); err != nil {
		e := &ReplyError{Plugin: c.command.Path, Err: err}
		if result := (*compress.ResultError)(nil); errors.As(err, &result) {
			e.Tensor = result.Tensor
		}
		return e
	}
	declared := of.info.Compressor.Pattern
	for i, r := range out {
		if declared != (compress.Pattern{}) && !r.Mask.None() && (r.Pattern.N != declared.N || r.Pattern.M != declared.M) {
			got := fmt.Sprintf("the pattern %d:%d", r.Pattern.N, r.Pattern.M)
			if r.Pattern == (compress.Pattern{}) {
				got = "none: set Compressed.Pattern"
			}
			return c.replyError(w[i].Name, "want a mask with the declared pattern %d:%d, got %s", declared.N, declared.M, got)
		}
	}
	return nil
}
