package plugins

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// version is the version of the protocol.
const version = 1

// handshake rejects programs that are not plugins of cram. It is not a secret.
var handshake = plugin.HandshakeConfig{ProtocolVersion: version, MagicCookieKey: "CRAM_PLUGIN", MagicCookieValue: "e7c2a4d08f1b4c6f"}

// maxMessage is the size of the largest gRPC message in both directions. Messages contain programs,
// of up to 8 MiB, and no tensors.
const maxMessage = 16 << 20

// services is the one plugin, in the sense of go-plugin, that a program serves: the services on the
// plugin's side, the connection on the host's side.
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

// versions returns the services by the version of the protocol, for go-plugin.
func versions(s services) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{version: {"cram": s}}
}
