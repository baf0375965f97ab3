package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// A filePeer is a process that loads and saves safetensors files on request and measures the time
// itself, without the time of its own start. A nil filePeer takes no time.
type filePeer struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func startFilePeer(ctx context.Context, command []string, stderr io.Writer) (*filePeer, error) {
	p := &filePeer{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr = stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	if p.name, err = p.line(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// line reads a line.
func (p *filePeer) line() (string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("peer %s: want a line of output, got none: %w", p.cmd, err)
	}
	return strings.TrimSpace(line), nil
}

// ask sends "VERB PATH" to the peer and returns the seconds that it prints.
func (p *filePeer) ask(verb, path string) (float64, error) {
	if p == nil {
		return 0, nil
	}
	if _, err := fmt.Fprintln(p.in, verb, path); err != nil {
		return 0, fmt.Errorf("peer %s: %w", p.cmd, err)
	}
	line, err := p.line()
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(line, 64)
	if err != nil || !(seconds > 0) {
		return 0, fmt.Errorf("peer %s: %s: want seconds above 0, got %.100q", p.cmd, verb, line)
	}
	return seconds, nil
}

// close ends the peer and waits for its exit.
func (p *filePeer) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }
