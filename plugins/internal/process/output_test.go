package process

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHandshake(t *testing.T) {
	const tooLong = "(the first line of standard output is longer than 4 KiB)\n"
	longest := strings.Repeat("h", maxHandshake-1) + "\n"
	for _, c := range []struct{ name, written, handshake, logged string }{
		{"line", "1|1|unix|/s|grpc\n", "1|1|unix|/s|grpc\n", ""},
		{"line and more", "1|1|unix|/s|grpc|\nmore\r\nand more", "1|1|unix|/s|grpc|\n", "more|and more"},
		{"another line first", "loading\n1|1|unix|/s|grpc|MIIC\n", "loading\n", "loading|1|1|unix|/s|grpc|…"},
		{"empty line", "\nmore\n", "\n", "|more"},
		{"nothing", "", "", ""},
		{"no end", "1|1|unix|/s", "", "1|1|unix|/s"},
		{"longest", longest, longest, strings.TrimSpace(longest)},
		{"too long", "x" + longest + "more\n", tooLong, strings.Repeat("x", 1) + longest[:maxHandshake-1] + "||more"},
	} {
		var log []string
		o := newOutput(func(line string) { log = append(log, line) })
		o.drainStdout(strings.NewReader(c.written))
		o.end()
		got, err := io.ReadAll(o.handshake)
		if string(got) != c.handshake || err != nil {
			t.Errorf("%s: handshake %.80q, %v, want %.80q", c.name, got, err, c.handshake)
		}
		if got := strings.Join(log, "|"); got != c.logged {
			t.Errorf("%s: logged %.80q, want %.80q", c.name, got, c.logged)
		}
	}
}

func TestReadersEndWithoutHandshake(t *testing.T) {
	o := newOutput(nil)
	read := make(chan error)
	for _, r := range []io.Reader{o.handshake, o.noStderr} {
		go func() {
			_, err := r.Read(make([]byte, 1))
			read <- err
		}()
	}
	o.handshake.Close()
	o.noStderr.Close()
	for range 2 {
		if err := <-read; err != io.EOF {
			t.Error(err)
		}
	}
	o.handshake.set("too late")
	if b, _ := io.ReadAll(o.handshake); len(b) != 0 {
		t.Errorf("read %q after the end", b)
	}
}

func TestLines(t *testing.T) {
	var log []string
	o := newOutput(func(line string) { log = append(log, line) })
	o.drainStderr(strings.NewReader("one\n\ntwo\r\n" + strings.Repeat("x", 2*maxLine+5) + "\nbad \xff\xfe bytes\na\tb\rc \x1b[2J\u202e\nlast"))
	want := []string{"one", "", "two", strings.Repeat("x", maxLine), strings.Repeat("x", maxLine), "xxxxx", "bad ? bytes", "a\tb?c ?[2J?", "last"}
	if len(log) != len(want) {
		t.Fatalf("%d lines, want %d", len(log), len(want))
	}
	for i := range want {
		if log[i] != want[i] {
			t.Errorf("line %d is %.50q, want %.50q", i, log[i], want[i])
		}
	}
}

func TestTail(t *testing.T) {
	var tail tail
	if got := tail.String(); got != "" {
		t.Errorf("empty: %q", got)
	}
	line := strings.Repeat("l", 99)
	for range 10_000 {
		tail.add(line)
		if got := tail.String(); len(got)%100 != 0 || len(got) > maxTail {
			t.Fatalf("%d bytes, want whole lines in at most %d", len(got), maxTail)
		}
	}
	if got := tail.String(); len(got) != 8100 || got != strings.Repeat(line+"\n", 81) {
		t.Errorf("%d bytes", len(got))
	}

	for pad := range 3 { // one line alone, cut within a letter
		tail.add(strings.Repeat("x", pad) + strings.Repeat("ž", maxTail))
		got := tail.String()
		if len(got) > maxTail || len(got) < maxTail-2 || !utf8.ValidString(got) {
			t.Errorf("%d bytes of a long line, valid: %v", len(got), utf8.ValidString(got))
		}
	}

	exact := strings.Repeat("e", maxTail-1) // fits with its newline
	tail.add(exact)
	if got := tail.String(); got != exact+"\n" {
		t.Errorf("%d bytes, want the whole line of %d", len(got), maxTail)
	}
	if len(tail.kept) > 4*maxTail {
		t.Errorf("keeps %d bytes", len(tail.kept))
	}
}
