// Package memory moves tensors between a host and its plugin in regions: long runs of bytes that are made once and reused.
//
// On Linux a region is shared memory, a memfd sealed in size that the host makes and hands over once through the plugin's
// standard input. A region toward the plugin is sealed against any further writable mapping, so that the plugin cannot
// change what it was given; what comes back lies in a region of its own. Elsewhere, and for plugins that choose so, both
// sides have regions of their own and the service Memory of the protocol copies bytes between them. Which of the two it
// is nobody else needs to know.
//
// Host:
//
//	var in, out memory.Layout
//	x, y := in.Add(len(data)), out.Add(64)
//	lease, err := host.Lease(ctx, in, out)   // reuses a free pair of regions or makes one
//	defer lease.Release()                    // only once the plugin is done with it
//	copy(lease.In(x), data)
//	err = lease.Send(ctx)
//	… a call that names lease.InSpan(x) and lease.OutSpan(y) …
//	err = lease.Receive(ctx, y)
//	result := lease.Out(y)                   // the plugin may still write to it: copy before checking
//
// Plugin:
//
//	defer regions.Enter()()
//	data, err := regions.In(ctx, span)       // read-only; waits for a region that is still on its way
//	room, err := regions.Out(ctx, span)
//
// # Handing over
//
// The socket is a unix socket of the type SOCK_SEQPACKET; only the host sends. Each message has 24 bytes, little-endian:
//
//	offset  bytes
//	0       4      "cram"
//	4       1      version of the message: 1
//	5       1      direction: 1 toward the plugin, 2 toward the host, 0 no region comes
//	6       2      0
//	8       4      region: its number, from 1, greater than every number before; 0 where no region comes
//	12      4      the number of the region that it replaces, which is used no more; 0: none
//	16      8      size of the region in bytes; 0 where no region comes
//
// In Python, struct.unpack("<4sBBHIIQ", message). With a region comes exactly one descriptor (SCM_RIGHTS): a memfd of that
// size whose size is sealed. The plugin maps it shared, read-only toward the plugin and read-write toward the host, and
// closes the descriptor. A message without a region, and without a descriptor, asks to let go of the one that it
// replaces; where the plugin has no such region there is nothing to do.
//
// A call may name a region before its message was read: whoever reads the socket in a thread of its own waits for it.
// The end of the socket is the end of the host, and the plugin then exits.
//
// # Streaming
//
// The protocol's service Memory does the same in three calls: Open is the message, answered before any call names the
// region (a request for region 0 only lets go of the one that it replaces); Write brings a call's input to the plugin before the
// call, Read its results to the host after it. Chunks have at most 1 MiB. The chunks of a Read follow the order of its
// spans and, within a span, of the bytes, without holes; none is empty, and none reaches over the end of its span.
//
// In both ways a span of no bytes names no region: region 0, offset 0.
package memory
