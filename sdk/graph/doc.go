// Package graph is the one intermediate representation of cram: straight-line programs of tensor operations.
//
// A [Program] has inputs (fed at each run), slots (tensors that live in a backend's session between runs: weights,
// running statistics, momentum), outputs, and updates (values written back to slots when the run is over).
// There is no control flow; a host that must choose, chooses between programs.
//
// Programs are made with a [Builder]. Its methods return a [Node] and never fail on their own: the first mistake
// sticks to the builder and [Builder.Program] returns it once, with the op, the shapes and the line of the caller.
//
//	b := graph.NewBuilder()
//	x := b.Input("x", graph.F32, graph.Batch(784))
//	w := b.Slot(graph.Slot{Name: "w", Type: graph.Type{DType: graph.F32, Shape: graph.Of(10, 784)}})
//	b.Output("logits", b.MatMul(x, w, false, true))
//	p, err := b.Program()
//
// [Builder.Grad] appends the reverse-mode gradient of a scalar. An op is data: a row in one table that holds its name,
// its shape rule and its gradient rule ([Ops]); its meaning is the kernel of that name in backends/reference.
//
// Dimensions may be symbolic: [Batch](3, 32, 32) is (N, 3, 32, 32) for any N, solved from the inputs at each run.
// The logical layout of images is NCHW and of convolution weights OIHW; what a backend does inside is its own business.
//
// A program prints as text ([Program.String]), is checked by [Program.Verify], and has a MessagePack form
// ([Program.Encode], [Decode]) that a checkpoint carries, so that serving needs no model code.
package graph
