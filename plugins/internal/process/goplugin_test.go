//go:build unix

package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
)

// client returns a client of go-plugin for a Process in a role.
func client(t *testing.T, role string) (*plugin.Client, *Process) {
	t.Helper()
	p, _ := prepare(t, Spec{Path: self(t), Args: []string{"child", role}, SHA256: sumOf(self(t))})
	c := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugins,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		Logger:           hclog.NewNullLogger(),
		StartTimeout:     time.Minute,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: t.TempDir()},
		RunnerFunc:       func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) { return p.Runner(cmd.Env), nil },
	})
	t.Cleanup(c.Kill)
	return c, p
}

func TestGoPlugin(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, p := client(t, "plugin")
	rpc, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := rpc.Ping(); err != nil {
		t.Error(err)
	}
	if c.ID() == "" || c.Exited() {
		t.Errorf("ID %q, exited %v", c.ID(), c.Exited())
	}
	c.Kill()
	await(t, p.Exited(), "the end")
	if got := p.State(); got != "exit status 0" {
		t.Errorf("state %q", got)
	}
	if !c.Exited() {
		t.Error("go-plugin does not report the end")
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// The children that write 10 MiB may still be running when Start returns, on a machine with other
// work. What is said of them after their end is checked by TestEnds.
func TestNoHandshake(t *testing.T) {
	for role, wants := range map[string][]string{
		"exit":          {"ended before its handshake", "exit status 3"},
		"panic":         {"ended before its handshake", "exit status 2", "panic: boom"},
		"one long line": {"longer than 4 KiB"},
		"chatter":       {"Unrecognized remote plugin message: hello"},
		"stubborn":      {"Unrecognized remote plugin message: stubborn", "is running"},
	} {
		t.Run(role, func(t *testing.T) {
			c, p := client(t, role)
			_, err := c.Start()
			if err == nil {
				t.Fatal("started")
			}
			for _, want := range wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%.500q does not contain %q", err, want)
				}
			}
			c.Kill()
			await(t, p.Exited(), "the end")
		})
	}
}
