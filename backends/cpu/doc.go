// Package cpu runs programs on the processor's cores in float32: AVX-512, AVX2 or portable Go, chosen when the backend is made.
//
//	b, err := cpu.New(cpu.Options{})
//	s, err := b.NewSession(ctx)
//	e, err := s.Compile(ctx, program, backends.Options{})
//	out, err := e.Run(ctx, in, nil)
//
// # From a program to a run
//
// Compile lowers the program to steps (lower.go): it chooses the layout of every value, row-major or blocks of 16 channels, inserts
// reorders where an op meets the layout it cannot read, and fuses what is one pass over memory: convolution with bias and ReLU,
// normalisation with addition and ReLU, chains of elementwise ops (a tape). Nothing in it depends on the sizes of symbols.
//
// The first run with new sizes binds the steps (bind.go): every step becomes phases, loops over independent items that say what they read and write.
// The schedule (schedule.go) merges phases that work image by image into regions, so that an image passes through normalisation,
// convolution and the statistics of the next normalisation while it is in the cache; a region ends where something needs the whole batch.
// The memory plan (memory.go) gives every buffer its place in the session's arena by the regions it lives through. The plan is kept.
//
// A run walks the regions. The worker pool (pool.go) takes fixed chunks of items in any order; no result depends on which worker takes
// which chunk or on how many there are, because every reduction has chunks fixed by its shape and is merged in order.
//
// An op is one row of the table in ops.go and one operator, a type whose method phases says how it runs.
package cpu
