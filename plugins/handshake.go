package plugins

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// version is that of the protocol: package plugins/protocol/v1.
const version = 1

// handshake keeps programs that are no plugins of cram from being taken for one. It is no secret.
var handshake = plugin.HandshakeConfig{ProtocolVersion: version, MagicCookieKey: "CRAM_PLUGIN", MagicCookieValue: "e7c2a4d08f1b4c6f"}

// maxMessage bounds a gRPC message in both directions. Tensors do not travel in messages; programs, of up to 8 MiB, do.
const maxMessage = 16 << 20

// services is cram's plugin as go-plugin sees it: services on one server, a connection on the other side.
type services struct {
	plugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

func (s services) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	s.register(server)
	return nil
}

func (services) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// set names the one plugin that a program holds.
func set(s services) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{version: {"cram": s}}
}
