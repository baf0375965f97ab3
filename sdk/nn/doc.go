// Package nn builds programs of package graph from networks that are written as Go code.
//
// A network is a [Model], a type with one method: Forward appends the computation of an output to a
// [Pass]. It takes all parameters from the pass by name, so the same code declares the parameters,
// trains, tunes batch norms and infers:
//
//	type net struct{ classes int }
//
//	func (n net) Forward(p *nn.Pass, x graph.Node) graph.Node {
//		x = p.Apply("conv1", nn.Conv2D{Out: 16, Kernel: 3, Padding: 1, NoBias: true}, x)
//		x = nn.ReLU(p, p.Apply("bn1", nn.BatchNorm{}, x))
//		return p.Apply("fc", nn.Linear{Out: n.classes}, nn.GlobalAvgPool(p, x))
//	}
//
// A layer is a Model, too. Layers with settings or parameters are structs whose zero fields mean
// PyTorch's defaults ([Conv2D], [Linear], [BatchNorm], [MaxPool] and others). Layers without either
// are functions ([ReLU], [Flatten] and others); [Func] makes a Model of a function. Input
// dimensions are taken from the input. For everything else a Pass is a [graph.Builder].
//
// Parameters have the names that PyTorch uses: "layer1.0.conv1.weight", "bn1.running_mean". Images
// have the shape [N C H W], weights of convolutions [out, in/groups, height, width], weights of
// linear layers [out, in].
//
// As in package graph, the builder keeps the first mistake. Layers do not panic. The mistake is the
// error of [Declare] or of [graph.Builder.Program], and names the layer.
package nn
