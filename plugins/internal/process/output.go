package process

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxHandshake = 4 << 10
	maxLine      = 8 << 10
	maxTail      = 8 << 10
)

// output takes what a child writes: the handshake apart, the rest line by line.
type output struct {
	handshake, nothing *late
	tail               tail

	logging sync.Mutex
	log     func(string)
}

func newOutput(log func(string)) *output {
	if log == nil {
		log = func(string) {}
	}
	return &output{handshake: newLate(), nothing: newLate(), log: log}
}

// drainStdout reads to the end. The first line is the handshake, if it ends within maxHandshake bytes.
func (o *output) drainStdout(r io.Reader) {
	b := bufio.NewReaderSize(r, maxHandshake)
	first, err := b.ReadSlice('\n')
	switch err {
	case nil:
		o.handshake.come(string(first))
	case bufio.ErrBufferFull:
		o.handshake.come("(the first line of standard output is longer than 4 KiB)\n")
		o.line(first)
	default:
		o.line(first) // what has no end is no handshake
		o.handshake.come("")
		return
	}
	o.drainStderr(b)
}

// drainStderr reads to the end, line by line. A line that is longer than maxLine becomes several.
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
	line := strings.Map(printable, strings.ToValidUTF8(strings.TrimRight(string(raw), "\r\n"), "?")) // no longer than it was
	o.tail.add(line)
	o.logging.Lock()
	defer o.logging.Unlock()
	o.log(line)
}

// printable replaces what could make a terminal or a log show what is not there.
func printable(r rune) rune {
	if r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// end ends both of go-plugin's readers.
func (o *output) end() {
	o.handshake.come("")
	o.nothing.come("")
}

// late is a reader whose content comes later, all at once.
type late struct {
	once    sync.Once
	here    chan struct{}
	mu      sync.Mutex
	content strings.Reader
}

func newLate() *late { return &late{here: make(chan struct{})} }

// come hands over the content. Only the first call counts.
func (l *late) come(content string) {
	l.once.Do(func() {
		l.content.Reset(content)
		close(l.here)
	})
}

func (l *late) Read(b []byte) (int, error) {
	<-l.here
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.Read(b)
}

func (l *late) Close() error {
	l.come("")
	return nil
}

// tail keeps the end of what is added to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(append(t.kept, line...), '\n')
	if len(t.kept) > 4*maxTail {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxTail-1:]...) // one byte more tells String whether a line begins there
	}
}

// String returns at most maxTail bytes: whole lines, or the end of the last one if that alone is longer.
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
