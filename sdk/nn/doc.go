// Package nn turns a network written as Go code into programs of package graph.
//
// A network is a [Model]: one method, Forward, that computes an output from an input. It asks its [Pass] for every
// parameter by name, so the same code declares the parameters, trains, re-estimates batch norm and infers:
//
//	type net struct{ classes int }
//
//	func (n net) Forward(p *nn.Pass, x graph.Node) graph.Node {
//		x = p.Apply("conv1", nn.Conv2D{Out: 16, Kernel: 3, Padding: 1, NoBias: true}, x)
//		x = nn.ReLU(p, p.Apply("bn1", nn.BatchNorm{}, x))
//		return p.Apply("fc", nn.Linear{Out: n.classes}, nn.GlobalAvgPool(p, x))
//	}
//
// A layer is a Model too. What has settings or parameters is a struct whose zero fields mean PyTorch's defaults
// ([Conv2D], [Linear], [BatchNorm], [MaxPool] …); what has neither is a function ([ReLU], [Flatten] …), and [Func] makes
// it a Model. Input extents are read off the input, never repeated. Anything else is an expression of the Builder that a
// Pass is.
//
// Names are PyTorch's: "layer1.0.conv1.weight", "bn1.running_mean". Images are NCHW, convolution weights OIHW, linear
// weights [out, in].
//
// Mistakes stick to the builder, as in package graph: layers never fail on their own and never panic, and the first
// mistake comes out of [Declare] or [graph.Builder.Program], with the name of the layer that made it.
package nn
