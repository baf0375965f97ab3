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

// A lie is what a plugin says that speaks the protocol by itself, without Serve.
type lie struct {
	about  *protocol.Description
	reply  *protocol.CompressReply
	fails  string // with this message, instead of a reply
	denies string // what it is, with this message
	prints string // instead of a handshake
	tensor string // that the error must name
	cause  string // likewise
}

func compressorNamed(name string) *protocol.Description {
	return &protocol.Description{Name: "liar", Version: "1", Compressor: &protocol.CompressorDescription{Name: name}}
}

func answers(first *protocol.Answer) *protocol.CompressReply {
	return &protocol.CompressReply{Answers: []*protocol.Answer{first, {}}}
}

// clears is what a terminal should not see, and a megabyte of what nobody wants to.
var clears = "\x1b[2J\r\u202e" + strings.Repeat("x", 1<<20)

var lies = map[string]lie{
	"describes nothing":      {about: &protocol.Description{Name: "liar"}, cause: "neither a compressor nor a backend"},
	"a name with a space":    {about: compressorNamed("top k"), cause: "white space"},
	"no name":                {about: compressorNamed(""), cause: "white space"},
	"a name that clears":     {about: compressorNamed("\x1b[2J"), cause: "does not print"},
	"a long name":            {about: compressorNamed(strings.Repeat("x", 5000)), cause: "5000 bytes"},
	"an impossible pattern":  {about: &protocol.Description{Compressor: &protocol.CompressorDescription{Name: "x", Pattern: &protocol.Pattern{N: 5, M: 4}}}, cause: "5:4"},
	"no answers":             {reply: &protocol.CompressReply{}, cause: "0 weights, want all 2"},
	"too many answers":       {reply: &protocol.CompressReply{Answers: make([]*protocol.Answer, 100_000)}, cause: "100000 weights, want all 2"},
	"a mask on a bias":       {reply: &protocol.CompressReply{Answers: []*protocol.Answer{{}, {Keep: true}}}, tensor: "fc.bias", cause: "only kernels"},
	"undeclared values":      {reply: answers(&protocol.Answer{Values: true}), tensor: "fc.weight", cause: "did not declare"},
	"a pattern without mask": {reply: answers(&protocol.Answer{Pattern: &protocol.Pattern{N: 2, M: 4}}), tensor: "fc.weight", cause: "without a mask"},
	"a pattern of no axis":   {reply: answers(&protocol.Answer{Keep: true, Pattern: &protocol.Pattern{N: 2, M: 4, Axis: math.MaxInt64}}), tensor: "fc.weight", cause: "does not fit"},
	"a negative pattern":     {reply: answers(&protocol.Answer{Keep: true, Pattern: &protocol.Pattern{N: -1, M: math.MinInt64}}), tensor: "fc.weight", cause: "does not fit"},
	"skipped with a mask":    {reply: answers(&protocol.Answer{Keep: true, Skipped: "why"}), tensor: "fc.weight", cause: "dense"},
	"a reason that clears":   {reply: answers(&protocol.Answer{Skipped: "\x1b[2J"}), tensor: "fc.weight", cause: "does not print"},
	"an error that clears":   {fails: clears, cause: `compress: \x1b[2J\r\u202e`},
	"a denial that clears":   {denies: clears, cause: `\x1b[2J\r\u202e`},
	"an error of two lines":  {fails: "one\ncram: all is well", cause: "compress: one\n    cram: all is well"},
	"ops that clear":         {about: &protocol.Description{Backend: &protocol.BackendDescription{Name: "x", Ops: []string{"add", "\x1b[2J"}}}, cause: "does not print"},
	"many ops":               {about: &protocol.Description{Backend: &protocol.BackendDescription{Name: "x", Ops: make([]string, 5000)}}, cause: "4999 bytes"},
	"a hostile handshake":    {prints: clears, cause: "the plugin died"},
	"a short handshake":      {prints: "1|1|\x1b[2J\r\u202e", cause: "1|1|?[2J??"},
	"a reply too large":      {reply: answers(&protocol.Answer{Skipped: strings.Repeat("x", 17<<20)}), cause: "larger than max"},
}

type liar struct {
	protocol.UnimplementedPluginServer
	protocol.UnimplementedCompressorServer
	protocol.UnimplementedMemoryServer
	plugin.NetRPCUnsupportedPlugin
	lie
}

func (l liar) Describe(context.Context, *protocol.DescribeRequest) (*protocol.Description, error) {
	if l.denies != "" {
		return nil, status.Error(codes.Internal, l.denies)
	}
	if l.about == nil {
		l.about = compressorNamed("liar")
		l.about.SharedMemory = true
	}
	return l.about, nil
}

func (l liar) Compress(context.Context, *protocol.CompressRequest) (*protocol.CompressReply, error) {
	if l.fails != "" {
		return nil, status.Error(codes.InvalidArgument, l.fails)
	}
	for i, a := range l.reply.GetAnswers() {
		if a == nil {
			l.reply.Answers[i] = &protocol.Answer{}
		}
	}
	return l.reply, nil
}

func (l liar) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	protocol.RegisterPluginServer(s, l)
	protocol.RegisterCompressorServer(s, l)
	return nil
}

func (liar) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// tell is a liar's main.
func tell(l lie) {
	if l.prints != "" {
		fmt.Fprintln(os.Stderr, l.prints)
		fmt.Println(l.prints)
		time.Sleep(time.Hour)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CRAM_PLUGIN", MagicCookieValue: "e7c2a4d08f1b4c6f"},
		VersionedPlugins: map[int]plugin.PluginSet{1: {"cram": liar{lie: l}}},
		GRPCServer:       plugin.DefaultGRPCServer,
		Logger:           hclog.NewNullLogger(),
	})
}

// TestLies: whatever a plugin says, the host answers with an error that names plugin, tensor and cause.
func TestLies(t *testing.T) {
	for name, l := range lies {
		t.Run(name, func(t *testing.T) {
			c := command("lie " + name)
			c.StopTimeout = 100 * time.Millisecond // a liar does not leave by itself
			p, err := plugins.LaunchCompressor(t.Context(), c)
			if err == nil {
				defer p.Close()
				_, err = p.Compress(t.Context(), weights(t, 8, 8))
			}
			if err == nil {
				t.Fatal("believed")
			}
			if s := err.Error(); len(s) > 32<<10 || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }) {
				t.Errorf("an error of %d bytes that does not print: %.200q", len(s), s)
			}
			for _, want := range []string{c.Path, l.tensor, l.cause} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %q in it", err, want)
				}
			}
			var reply *plugins.ReplyError
			if l.tensor != "" && (!errors.As(err, &reply) || reply.Tensor != l.tensor) {
				t.Errorf("want a ReplyError of %s, got %#v", l.tensor, err)
			}
		})
	}
}
