// Package plugins runs compressors and backends in separate processes, behind the interfaces of
// local ones.
//
// A plugin is a program whose main calls [Serve]:
//
//	func main() {
//		plugins.Serve(plugins.Plugin{
//			Name: "small", Version: "1.0.0", Compressor: compress.Func("small:0.01", zeroSmall),
//		})
//	}
//
// A host starts it with [LaunchCompressor] and uses it like a local compressor:
//
//	c, err := plugins.LaunchCompressor(ctx, plugins.Command{Path: "./small", Args: []string{"0.01"}})
//	defer c.Close()
//	trainer.Method = optim.CrAMPlus(0.2, c)
//
// [LaunchBackend] does the same for a backends.Backend, whose state is then in the plugin.
//
// Tensors cross in shared memory that is allocated once and reused. The calls are gRPC on a private
// unix socket with mutual TLS (hashicorp/go-plugin). The host checks all replies of a plugin before
// it uses them. A failure of a plugin is an error of a call, never a crash of the host: a
// [*DiedError] when the plugin has ended or was killed, with its exit status and the last lines of
// its output, and a [*ReplyError] when a reply is invalid. A compressor has no state, so that its
// next call restarts the plugin. The state of a backend is lost with its plugin, and all later
// calls return [backends.ErrLost].
//
// Plugins in other languages use the same protocol. docs/plugins.md describes it, and what a plugin
// can do to its host. Package plugintest tests a plugin.
package plugins
