// Package compress defines compressors: functions C that map the weights of a network to compressed
// weights. The built-in ones prune by magnitude: [TopK], [Uniform], [NM] and [Block].
//
// A [Compressor] receives all weights of a network at once, because it may rank them together. For
// each weight it returns a mask, new values, or the zero [Compressed], which leaves the weight
// unchanged. [Func] makes a Compressor of a function; package compresstest tests whether a
// Compressor fulfills the contract. Optimizers and methods work with any Compressor, as CrAM
// defines it (https://arxiv.org/abs/2207.14200).
//
// # Names
//
// Every compressor has a text name, [Compressor.String]. [Parse] reads the names of the built-in
// ones: "topk:0.9", "uniform:0.8", "nm:2:4", "block4:0.8", "only(layer*.weight):topk:0.9". The
// command line uses these names, and a level of a checkpoint has the name of its compressor.
//
// # Checks
//
// A compressor with settings has a method Check() error, which reports settings that are out of
// range. Packages sdk, optim and plugins call it before they use the compressor. [Check] examines
// the result of a Compressor; nothing uses a result before that.
//
// # Host and graph implementations
//
// A compressor that implements [GraphCompressor] runs as part of the training step. The trainer
// splits the step around any other compressor and calls it on the host.
//
// Each built-in compressor is therefore implemented twice: Compress computes masks on the host, and
// Build appends operations that compute them on the backend. Both must agree bit for bit: a network
// that was trained with masks of the backend is later pruned on the host, and the masks must be the
// same. The price is two implementations to maintain. The reasons for a host implementation are
// that pruning a file needs no backend, and that it is the one that other languages can provide as
// a plugin. Two tests hold the agreement: compresstest compares Build on backends/reference with
// Compress, ties, NaN and infinities included, and backendtest compares other backends with
// backends/reference.
package compress
