package plugins

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/compressaware/cram/internal/printable"
)

// A text of a plugin reaches the host's errors through checkText, when the protocol has rules for
// it, or through oneLine. The error texts of all calls are replaced by oneLine in the interceptors
// below.

const (
	maxText   = 4096 // bytes of a text of a plugin: a name, a version, a reason
	maxOutput = 1024 // bytes of a plugin's output in an error
)

// checkText returns an error unless a text is short and printable.
func checkText(what, s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%s: want at most %d bytes, got %d", what, maxText, len(s))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s: want printable characters, got %q", what, s)
	}
	return nil
}

// oneLine returns a text of a plugin on one line: line ends become " | ", and characters that are
// not printable are escaped.
func oneLine(s string) string { return printable.Line(joinLines(s), maxText) }

// joinLines joins the lines of s that are not empty.
func joinLines(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.Trim(line, " \t\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " | ")
}

// shorten returns the start and the end of a text that is longer than size bytes.
func shorten(s string, size int) string {
	if len(s) <= size {
		return s
	}
	start, end := size/2, len(s)-size/2
	for start > 0 && !utf8.RuneStart(s[start]) {
		start--
	}
	for end < len(s) && !utf8.RuneStart(s[end]) {
		end++
	}
	return s[:start] + " … " + s[end:]
}

// message returns the error text of a call.
func message(err error) string { return status.Convert(err).Message() }

// interceptors make the error texts of a plugin printable, for all calls of a connection.
var interceptors = []grpc.DialOption{grpc.WithUnaryInterceptor(printableCall), grpc.WithStreamInterceptor(openPrintable)}

func printableCall(
	ctx context.Context, method string, q, reply any, c *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption,
) error {
	return printableError(call(ctx, method, q, reply, c, o...))
}

func openPrintable(
	ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, o ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := open(ctx, d, c, method, o...)
	return printableStream{s}, printableError(err)
}

type printableStream struct{ grpc.ClientStream }

func (s printableStream) SendMsg(m any) error { return printableError(s.ClientStream.SendMsg(m)) }
func (s printableStream) RecvMsg(m any) error { return printableError(s.ClientStream.RecvMsg(m)) }

// printableError returns a gRPC status with its message on one printable line.
func printableError(err error) error {
	s, ok := status.FromError(err)
	if err == nil || err == io.EOF || !ok {
		return err
	}
	return status.Error(s.Code(), oneLine(s.Message()))
}
