// Package memory moves tensors between a host and its plugin. The tensors are in regions: long runs
// of bytes that are allocated once and reused by later calls.
//
// A call has an input region, which the host writes and the plugin reads, and an output region,
// which the plugin writes and the host reads. On Linux a region is shared memory: a memfd of fixed
// size that the host creates and sends to the plugin once, through the plugin's standard input. An
// input region is sealed against further writable mappings, so that the plugin cannot change it. On
// other systems, and for plugins that choose so, each side allocates its own copy of a region and
// the protocol's service Memory copies bytes between the two. The users of this package do not see
// the difference.
//
// Host:
//
//	var in, out memory.Layout
//	x, y := in.Add(len(data)), out.Add(64)
//	pair, err := host.Acquire(ctx, in, out)  // reuses a free pair of regions or creates one
//	defer pair.Release()                     // only after the plugin has replied
//	copy(pair.In(x), data)
//	err = pair.Send(ctx)
//	… a call whose request has pair.InSpan(x) and pair.OutSpan(y) …
//	err = pair.Receive(ctx, y)
//	result := pair.Out(y)                    // the plugin can still write: copy, then check
//
// Plugin:
//
//	defer regions.StartCall()()
//	data, err := regions.In(ctx, span)       // read-only; waits for a region that is being sent
//	out, err := regions.Out(ctx, span)
//
// # Shared memory
//
// The socket is a unix socket of the type SOCK_SEQPACKET. Only the host sends. Each message has 24
// bytes, little-endian:
//
//	offset  bytes
//	0       4      "cram"
//	4       1      version of the message: 1
//	5       1      direction: 1 input region, 2 output region, 0 no region
//	6       2      0
//	8       4      number of the region: from 1, greater than all earlier ones; 0: no region
//	12      4      number of the region that it replaces and that no later call uses; 0: none
//	16      8      size of the region in bytes; 0: no region
//
// In Python: struct.unpack("<4sBBHIIQ", message). A message with a region carries exactly one file
// descriptor (SCM_RIGHTS): a memfd of that size, whose size is sealed. The plugin maps it with
// MAP_SHARED, an input region read-only and an output region for reading and writing, and closes
// the descriptor. A message without a region carries no descriptor. It asks the plugin to unmap the
// region that it "replaces"; a plugin that does not have that region ignores the message.
//
// A call can name a region before the plugin has read the message. A plugin therefore reads the
// socket in its own thread, and a call waits for its regions. When the socket is closed, the host
// has ended or wants the plugin to end, and the plugin exits.
//
// # Streams
//
// The protocol's service Memory does the same with three calls. Open is the message; it returns
// before a call names the region. (Open with region 0 only removes the region that it replaces.)
// Write copies the input of a call to the plugin before the call. Read copies its output to the
// host after the call. A chunk has 1 byte to 1 MiB. The chunks of a Read follow the order of its
// spans and, in a span, the order of the bytes, without gaps. A chunk does not cross the end of its
// span.
//
// In both ways a span of 0 bytes has region 0 and offset 0.
package memory
