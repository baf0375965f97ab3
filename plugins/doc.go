// Package plugins runs compressors and backends in processes of their own, behind the interfaces that local ones have.
//
// A plugin is a program whose main calls [Serve]:
//
//	func main() {
//		plugins.Serve(plugins.Plugin{Name: "small", Version: "1.0.0", Compressor: compress.Func("small:0.01", zeroSmall)})
//	}
//
// A host launches it and has a value like any other:
//
//	c, err := plugins.LaunchCompressor(ctx, plugins.Command{Path: "./small"})
//	defer c.Close()
//	trainer.Estimator = optim.CrAMPlus(0.2, c)
//
// and so with [LaunchBackend] for a backends.Backend, whose state then lives in the plugin.
//
// Tensors cross in shared memory that is made once and reused; control is gRPC over a private unix socket with mutual TLS
// (hashicorp/go-plugin). Nothing that a plugin answers is used before it was checked, and whatever a plugin does, the host sees
// an error: a [*DiedError] when it died or had to be killed, with how it ended and the last lines of its output. A compressor has
// no state, so the next call starts its plugin anew, with back-off; a backend's state is gone with its plugin, and every
// call says so ([backends.ErrLost]).
//
// Plugins in other languages speak the same protocol, package plugins/protocol/v1; docs/plugins.md tells how, and what a plugin can
// and cannot do to its host. Package plugintest holds a plugin to all of it.
package plugins
