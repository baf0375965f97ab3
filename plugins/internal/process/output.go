package process

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

const (
	maxHandshake = 4 << 10
	maxLine      = 8 << 10
	maxTail      = 8 << 10
)

// output reads what a child writes. It separates the handshake from the other lines.
type output struct {
	handshake *pendingReader // the first line of standard output
	noStderr  *pendingReader // empty: standard error goes to the log
	tail      tail
	noise     atomic.Pointer[string] // the first line, when it is not a handshake

	logging sync.Mutex
	log     func(string)
}

func newOutput(log func(string)) *output {
	if log == nil {
		log = func(string) {}
	}
	return &output{handshake: newPendingReader(), noStderr: newPendingReader(), log: log}
}

// drainStdout reads to the end. The first line is the handshake if it has at most maxHandshake
// bytes.
func (o *output) drainStdout(r io.Reader) {
	b := bufio.NewReaderSize(r, maxHandshake)
	first, err := b.ReadSlice('\n')
	switch err {
	case nil:
		if !isHandshake(string(first)) {
			o.setNoise(first)
			o.print(clean(first))
		}
		o.handshake.set(string(first))
	case bufio.ErrBufferFull:
		o.setNoise(first)
		o.handshake.set("(the first line of standard output is longer than 4 KiB)\n")
		o.line(first)
	default:
		o.line(first) // a line without an end is not a handshake
		o.handshake.set("")
		return
	}
	o.drainStderr(b)
}

// setNoise states that the first line is not a handshake. It precedes the end of the handshake.
func (o *output) setNoise(line []byte) {
	s := clean(line)
	o.noise.Store(&s)
}

// handshakeLine matches a handshake. The last group is the certificate.
var handshakeLine = regexp.MustCompile(`^(\s*\d+\|\d+\|[a-z]*\|[^|]*(?:\|[a-z]*)?)(\|.*)?$`)

func isHandshake(line string) bool { return handshakeLine.MatchString(strings.TrimSpace(line)) }

// drainStderr reads to the end, line by line. It splits lines that are longer than maxLine.
func (o *output) drainStderr(r io.Reader) {
	b := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := b.ReadSlice('\n')
		o.line(line)
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (o *output) line(raw []byte) {
	if len(raw) == 0 {
		return
	}
	line := clean(raw)
	if !isHandshake(line) {
		o.tail.add(line)
	}
	o.print(line)
}

func (o *output) print(line string) {
	o.logging.Lock()
	defer o.logging.Unlock()
	o.log(line)
}

// clean returns a printable line that is not longer than raw. A handshake that is not the first line
// loses its certificate.
func clean(raw []byte) string {
	line := strings.Map(printable, strings.ToValidUTF8(strings.TrimRight(string(raw), "\r\n"), "?"))
	if m := handshakeLine.FindStringSubmatch(line); m != nil && len(m[2]) > 3 {
		return m[1] + "|…"
	}
	return line
}

// printable replaces the characters that could change how a terminal or a log shows other text.
func printable(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// end ends both readers of go-plugin.
func (o *output) end() {
	o.handshake.set("")
	o.noStderr.set("")
}

// A pendingReader is a reader that blocks until its content is set.
type pendingReader struct {
	once    sync.Once
	ready   chan struct{}
	mu      sync.Mutex
	content strings.Reader
}

func newPendingReader() *pendingReader { return &pendingReader{ready: make(chan struct{})} }

// set sets the content. Only the first call has an effect.
func (p *pendingReader) set(content string) {
	p.once.Do(func() {
		p.content.Reset(content)
		close(p.ready)
	})
}

func (p *pendingReader) Read(b []byte) (int, error) {
	<-p.ready
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.content.Read(b)
}

func (p *pendingReader) Close() error {
	p.set("")
	return nil
}

// A tail keeps the last lines that were added.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(append(t.kept, line...), '\n')
	if len(t.kept) > 4*maxTail {
		// One byte more, so that String can see whether a line begins after it.
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxTail-1:]...)
	}
}

// String returns at most maxTail bytes: whole lines, or the end of the last line if that is longer.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	cut := len(t.kept) - maxTail
	if cut <= 0 {
		return string(t.kept)
	}
	end := t.kept[cut:]
	if t.kept[cut-1] == '\n' {
		return string(end)
	}
	if i := bytes.IndexByte(end, '\n'); i < len(end)-1 {
		return string(end[i+1:])
	}
	for !utf8.RuneStart(end[0]) {
		end = end[1:]
	}
	return string(end)
}
