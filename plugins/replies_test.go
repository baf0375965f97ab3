package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/plugins"
	protocol "github.com/compressaware/cram/plugins/internal/protocol/v1"
)

// A fake is a plugin that implements the protocol without Serve, with the replies of a test.
type fake struct {
	description   *protocol.Description
	reply         *protocol.CompressReply
	compressError string // error of Compress, instead of a reply
	describeError string // error of Describe
	prints        string // instead of a handshake
	tensor        string // want in the error
	cause         string // want in the error
}

func compressorNamed(name string) *protocol.Description {
	return &protocol.Description{Name: "fake", Version: "1", Compressor: &protocol.CompressorDescription{Name: name}}
}

func results(first *protocol.Result) *protocol.CompressReply {
	return &protocol.CompressReply{Results: []*protocol.Result{first, {}}}
}

// clears would clear a terminal, and is long.
var clears = "\x1b[2J\r\u202e" + strings.Repeat("x", 1<<20)

var fakes = map[string]fake{
	"describes nothing":      {description: &protocol.Description{Name: "fake"}, cause: "neither a compressor nor a backend"},
	"a name with a space":    {description: compressorNamed("top k"), cause: "white space"},
	"a built-in name":        {description: compressorNamed("topk:0.9"), cause: "the name of a built-in compressor"},
	"no name":                {description: compressorNamed(""), cause: "white space"},
	"a name that clears":     {description: compressorNamed("\x1b[2J"), cause: "want printable characters"},
	"a long name":            {description: compressorNamed(strings.Repeat("x", 5000)), cause: "got 5000"},
	"an impossible pattern":  {description: &protocol.Description{Compressor: &protocol.CompressorDescription{Name: "x", Pattern: &protocol.Pattern{N: 5, M: 4}}}, cause: "5:4"},
	"no results":             {reply: &protocol.CompressReply{}, cause: "want results for all 2 weights, got 0"},
	"too many results":       {reply: &protocol.CompressReply{Results: make([]*protocol.Result, 100_000)}, cause: "want results for all 2 weights, got 100000"},
	"a mask on a bias":       {reply: &protocol.CompressReply{Results: []*protocol.Result{{}, {Mask: true}}}, tensor: "fc.bias", cause: "only kernels"},
	"an invalid result":      {reply: &protocol.CompressReply{InvalidResult: &protocol.InvalidResult{Tensor: "fc.weight", Cause: "it is\nbad\x1b[2J"}}, tensor: "fc.weight", cause: `it is | bad\x1b[2J`},
	"undeclared values":      {reply: results(&protocol.Result{Values: true}), tensor: "fc.weight", cause: "did not declare"},
	"a pattern without mask": {reply: results(&protocol.Result{Pattern: &protocol.Pattern{N: 2, M: 4}}), tensor: "fc.weight", cause: "without a mask"},
	"a pattern of no axis":   {reply: results(&protocol.Result{Mask: true, Pattern: &protocol.Pattern{N: 2, M: 4, Axis: math.MaxInt64}}), tensor: "fc.weight", cause: "does not fit"},
	"a negative pattern":     {reply: results(&protocol.Result{Mask: true, Pattern: &protocol.Pattern{N: -1, M: math.MinInt64}}), tensor: "fc.weight", cause: "does not fit"},
	"skipped with a mask":    {reply: results(&protocol.Result{Mask: true, Skipped: "why"}), tensor: "fc.weight", cause: "dense"},
	"a reason that clears":   {reply: results(&protocol.Result{Skipped: "\x1b[2J"}), tensor: "fc.weight", cause: "want printable characters"},
	"an error that clears":   {compressError: clears, cause: `compress: \x1b[2J\r\u202e`},
	"a denial that clears":   {describeError: clears, cause: `\x1b[2J\r\u202e`},
	"an error of two lines":  {compressError: "one\ncram: all is well", cause: "compress: one | cram: all is well"},
	"ops that clear":         {description: &protocol.Description{Backend: &protocol.BackendDescription{Name: "x", Ops: []string{"add", "\x1b[2J"}}}, cause: "want printable characters"},
	"many ops":               {description: &protocol.Description{Backend: &protocol.BackendDescription{Name: "x", Ops: make([]string, 5000)}}, cause: "got 4999"},
	"a hostile handshake":    {prints: clears, cause: "the first line of standard output: want the handshake 1|1|unix|SOCKET|grpc|CERTIFICATE, got "},
	"another line first":     {prints: "loading model\n1|1|unix|/tmp/s|grpc|MIIC", cause: `got "loading model"; write other text to standard error`},
	"a short handshake":      {prints: "1|1|\x1b[2J\r\u202e", cause: `got "1|1|?[2J??"`},
	"a reply too large":      {reply: results(&protocol.Result{Skipped: strings.Repeat("x", 17<<20)}), cause: "larger than max"},
}

type fakeServer struct {
	protocol.UnimplementedPluginServer
	protocol.UnimplementedCompressorServer
	protocol.UnimplementedMemoryServer
	plugin.NetRPCUnsupportedPlugin
	fake
}

func (f fakeServer) Describe(context.Context, *protocol.DescribeRequest) (*protocol.Description, error) {
	if f.describeError != "" {
		return nil, status.Error(codes.Internal, f.describeError)
	}
	if f.description == nil {
		f.description = compressorNamed("fake")
		f.description.SharedMemory = true
	}
	return f.description, nil
}

func (f fakeServer) Compress(context.Context, *protocol.CompressRequest) (*protocol.CompressReply, error) {
	if f.compressError != "" {
		return nil, status.Error(codes.InvalidArgument, f.compressError)
	}
	for i, r := range f.reply.GetResults() {
		if r == nil {
			f.reply.Results[i] = &protocol.Result{}
		}
	}
	return f.reply, nil
}

func (f fakeServer) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	protocol.RegisterPluginServer(s, f)
	protocol.RegisterCompressorServer(s, f)
	return nil
}

func (fakeServer) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// serveFake is the main of a fake.
func serveFake(f fake) {
	if f.prints != "" {
		fmt.Fprintln(os.Stderr, f.prints)
		fmt.Println(f.prints)
		time.Sleep(time.Hour)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CRAM_PLUGIN", MagicCookieValue: "e7c2a4d08f1b4c6f"},
		VersionedPlugins: map[int]plugin.PluginSet{1: {"cram": fakeServer{fake: f}}},
		GRPCServer:       plugin.DefaultGRPCServer,
		Logger:           hclog.NewNullLogger(),
	})
}

// TestInvalidReplies holds that all invalid replies are printable errors that name plugin, tensor
// and cause.
func TestInvalidReplies(t *testing.T) {
	for name, f := range fakes {
		t.Run(name, func(t *testing.T) {
			c := command("fake " + name)
			c.StopTimeout = 100 * time.Millisecond // a fake does not exit by itself
			p, err := plugins.LaunchCompressor(t.Context(), c)
			if err == nil {
				defer p.Close()
				_, err = p.Compress(t.Context(), weights(t, 8, 8))
			}
			if err == nil {
				t.Fatal("no error")
			}
			if s := err.Error(); len(s) > 32<<10 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("an error of %d bytes that is long or not printable: %.200q", len(s), s)
			}
			if strings.Contains(err.Error(), "MIIC") {
				t.Errorf("got %v, want no certificate in it", err)
			}
			for _, want := range []string{c.Path, f.tensor, f.cause} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			var reply *plugins.ReplyError
			if f.tensor != "" && (!errors.As(err, &reply) || reply.Tensor != f.tensor) {
				t.Errorf("want a ReplyError of %s, got %#v", f.tensor, err)
			}
		})
	}
}
