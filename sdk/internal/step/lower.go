package step

import (
	"fmt"
	"slices"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// A lowering is a program of a step that is being built.
type lowering struct {
	*Recipe
	b       *graph.Builder
	segment segment               // has the ports so far
	inputs  map[string]graph.Node // of the model, by name
	targets map[string]graph.Node // of the losses, by name
	key     graph.Node            // of random numbers
	clock   optim.Clock           // learning rate and step
	weights []graph.Node          // all parameters, at θ
	grads   []optim.Grads         // of the points so far
	stats   map[string]graph.Node // next values of the statistics, by slot
	clean   graph.Node            // main output of the first point
}

// lower builds the segments of one variant of a step.
func (r *Recipe) lower(v Variant) ([]segment, error) {
	var done []segment
	l := r.open()
	for i, point := range r.Method.Points {
		at := l.move(point)
		masks := make([]graph.Node, len(at))
		if len(point.Compress) > 0 {
			compressor := point.Compress[v.draw[i]]
			before := slices.Clone(at)
			inGraph, ok := compressor.(compress.GraphCompressor)
			switch {
			case !v.fresh[i]:
				l.reuse(i, v.draw[i], at, masks)
			case ok:
				l.compress(inGraph, at, masks)
			default:
				program, err := l.suspend(i, at)
				if err != nil {
					return nil, err
				}
				done = append(done, program, segment{host: compressor, masks: point.Refresh > 1})
				l = l.resume()
				l.result(at, masks)
			}
			if v.fresh[i] && point.Refresh > 1 {
				l.remember(i, v.draw[i], before, at, masks)
			}
		}
		l.gradient(i, at, masks)
	}
	mixed := r.Method.Combine(l.b, l.grads)
	l.update(r.Optimizer.Update(l.b, l.trained(l.weights), mixed, l.clock))
	for _, d := range r.Stats {
		if next, ok := l.stats[d.Name]; ok {
			l.b.Update(d.Name, next)
		}
	}
	last, err := l.close()
	return append(done, last), err
}

// open begins a program: it declares the values of the feed as inputs and reads the parameters.
func (r *Recipe) open() *lowering {
	l := &lowering{Recipe: r, b: graph.NewBuilder(), inputs: map[string]graph.Node{}, targets: map[string]graph.Node{}}
	for i, f := range r.Inputs {
		l.inputs[f.Name] = l.input(port{portInput, i}, f.Name, f.Batch())
	}
	for i, f := range r.Targets {
		l.targets[f.Name] = l.input(port{portTarget, i}, f.Name, f.Batch())
	}
	scalar := graph.Type{DType: array.F32}
	l.clock.LR = l.input(port{kind: portLR}, inputLR, scalar)
	l.clock.Step = l.input(port{kind: portStep}, inputStep, scalar)
	l.key = l.input(port{kind: portKey}, inputKey, graph.Type{DType: array.I64, Shape: graph.Of(2)})
	for _, d := range r.Params {
		l.weights = append(l.weights, l.b.Slot(d.Slot))
	}
	return l
}

// close ends a program.
func (l *lowering) close() (segment, error) {
	p, err := l.b.Program()
	if err == nil && l.float != array.F32 {
		p, err = p.WithFloat(l.float)
	}
	l.segment.program = p
	return l.segment, err
}

// input declares an input of the program with the value of port p.
func (l *lowering) input(p port, name string, t graph.Type) graph.Node {
	l.segment.inputs = append(l.segment.inputs, p)
	return l.b.Input(name, t.DType, t.Shape)
}

// output declares an output of the program as the value of port p.
func (l *lowering) output(p port, name string, n graph.Node) {
	l.segment.outputs = append(l.segment.outputs, p)
	l.b.Output(name, n)
}

// update declares the next values of the trained parameters.
func (l *lowering) update(next []graph.Node) {
	if len(next) != len(l.train) {
		l.b.Fail("optimizer %v: want the next values of all %d parameters, got %d", l.Optimizer, len(l.train), len(next))
		return
	}
	for j, i := range l.train {
		l.b.Update(l.Params[i].Name, next[j])
	}
}

// trained returns the trained parameters for optimizers and moves. Values has one value for each
// parameter, trained or not.
func (l *lowering) trained(values []graph.Node) optim.Weights {
	w := make(optim.Weights, len(l.train))
	for j, i := range l.train {
		w[j] = compress.WeightNode{Meta: l.metas[i], W: values[i]}
	}
	return w
}

// move returns the values of all parameters at the point, before compression.
func (l *lowering) move(p optim.Point) []graph.Node {
	at := slices.Clone(l.weights)
	if p.Move == nil {
		return at
	}
	moved := p.Move.Apply(l.b, l.trained(l.weights), l.grads)
	if len(moved) != len(l.train) {
		l.b.Fail("move %v: want all %d parameters, got %d", p.Move, len(l.train), len(moved))
		return at
	}
	for j, i := range l.train {
		at[i] = moved[j].W
	}
	return at
}

// compress replaces the values at the point by compressed ones and sets their masks.
func (l *lowering) compress(c compress.GraphCompressor, at, masks []graph.Node) {
	weights := make([]compress.WeightNode, len(at))
	for i := range at {
		weights[i] = compress.WeightNode{Meta: l.metas[i], W: at[i]}
	}
	out := c.Build(l.b, weights)
	if len(out) != len(weights) {
		l.b.Fail("compressor %v: want a result for each of %d weights, got %d", c, len(weights), len(out))
		return
	}
	for i, o := range out {
		at[i], masks[i] = o.Value, o.Mask
	}
}

// maskSlot declares the slot for the mask of parameter i between two uses of a compressor of a
// point. Draw is the index of the compressor in the set of the point.
func (l *lowering) maskSlot(point, draw, i int) (string, graph.Node) {
	name := fmt.Sprintf("mask.%d.%d/%s", point, draw, l.Params[i].Name)
	t := graph.Type{DType: array.Bit, Shape: l.Params[i].Shape}
	return name, l.b.Slot(graph.Slot{Name: name, Kind: graph.OptimizerState, Type: t})
}

// reuse masks the values at the point by the masks of an earlier step.
func (l *lowering) reuse(point, draw int, at, masks []graph.Node) {
	for i, m := range l.metas {
		if m.Prunable() {
			_, masks[i] = l.maskSlot(point, draw, i)
			at[i] = l.b.Mask(at[i], masks[i])
		}
	}
}

// remember stores the masks for later steps. The mask of a weight that the compressor left dense
// consists of ones. Before and at are the values before and after compression.
func (l *lowering) remember(point, draw int, before, at, masks []graph.Node) {
	for i, m := range l.metas {
		if !m.Prunable() {
			continue
		}
		mask := masks[i]
		if mask.None() {
			if at[i] != before[i] {
				l.b.Fail("compressor %v: %s: want a mask to reuse, got values alone; set Refresh to 1",
					l.Method.Points[point].Compress[draw], m.Name)
			}
			zero := l.b.ConstLike(at[i], 0)
			mask = l.b.Less(zero, l.b.Shift(zero, 1))
		}
		name, _ := l.maskSlot(point, draw, i)
		l.b.Update(name, mask)
	}
}

// gradient appends the gradient of point i at the given values and adds it to grads, masked if
// there is a mask. Only the pass of the first point, which is not compressed, moves the running
// statistics (§3 of the paper, https://arxiv.org/abs/2207.14200). Those of the other passes are
// dropped.
func (l *lowering) gradient(i int, at, masks []graph.Node) {
	point := l.Method.Points[i]
	pass := nn.NewPass(l.b, nn.Train)
	pass.Key, pass.Inputs, pass.Targets = l.key, l.inputs, l.targets
	pass.Weights = map[string]graph.Node{}
	for k, d := range l.Params {
		if point.Loss != nil && at[k] == l.weights[k] {
			at[k] = l.b.Scale(at[k], 1) // another node: the gradient must not flow through Clean
		}
		pass.Weights[d.Name] = at[k]
	}
	loss := l.Loss
	if point.Loss != nil {
		loss, pass.Clean = point.Loss, l.clean
	}
	output := l.Model.Forward(pass, l.inputs[l.Inputs[0].Name])
	var target graph.Node
	if len(l.Targets) > 0 {
		target = l.targets[l.Targets[0].Name]
	}
	value := loss.Loss(pass, output, target)
	wrt := make([]graph.Node, len(l.train))
	for j, k := range l.train {
		wrt[j] = at[k]
	}
	grads := l.b.Grad(value, wrt...)
	for j, k := range l.train {
		if !point.DenseGradient && !masks[k].None() {
			grads[j] = l.b.Mask(grads[j], masks[k])
		}
	}
	l.grads = append(l.grads, grads)
	if i == 0 {
		l.stats, l.clean = pass.Stats, output
		l.output(port{kind: portLoss}, "loss", value)
	}
}

// scratch declares a scratch slot and returns its name and value.
func (l *lowering) scratch(name string, t graph.Type) (string, graph.Node) {
	return name, l.b.Slot(graph.Slot{Name: name, Kind: graph.Scratch, Type: t})
}

func gradSlot(point int, d nn.Decl) string { return fmt.Sprintf("step.grad.%d/%s", point, d.Name) }
func statSlot(d nn.Decl) string            { return "step.stat/" + d.Name }

// suspend ends a program before the compressor call of point i. The outputs of the program are the
// values at the point, and the main output of the first point if a later loss reads it. Gradients
// and statistics are stored in scratch slots.
func (l *lowering) suspend(i int, at []graph.Node) (segment, error) {
	for k, d := range l.Params {
		l.output(port{portAt, k}, "at/"+d.Name, at[k])
	}
	if !l.clean.None() && slices.ContainsFunc(l.Method.Points[i:], func(p optim.Point) bool { return p.Loss != nil }) {
		l.output(port{kind: portClean}, clean, l.clean)
	}
	for point, grads := range l.grads {
		for j, g := range grads {
			d := l.Params[l.train[j]]
			name, _ := l.scratch(gradSlot(point, d), d.Type)
			l.b.Update(name, g)
		}
	}
	for _, d := range l.Stats {
		if next, ok := l.stats[d.Name]; ok {
			name, _ := l.scratch(statSlot(d), d.Type)
			l.b.Update(name, next)
		}
	}
	return l.close()
}

// resume opens the program after a compressor call and reads the slots that suspend has stored.
func (l *lowering) resume() *lowering {
	next := l.open()
	for point := range l.grads {
		grads := make(optim.Grads, len(l.train))
		for j, k := range l.train {
			_, grads[j] = next.scratch(gradSlot(point, l.Params[k]), l.Params[k].Type)
		}
		next.grads = append(next.grads, grads)
	}
	next.stats = map[string]graph.Node{}
	for _, d := range l.Stats {
		if _, ok := l.stats[d.Name]; ok {
			_, next.stats[d.Name] = next.scratch(statSlot(d), d.Type)
		}
	}
	if slices.Contains(l.segment.outputs, port{kind: portClean}) {
		next.clean = next.input(port{kind: portClean}, clean, l.b.Type(l.clean))
	}
	return next
}

// result declares the result of the compressor call as inputs: values of all parameters, masks of
// the prunable ones.
func (l *lowering) result(at, masks []graph.Node) {
	for i, d := range l.Params {
		at[i], masks[i] = l.input(port{portValue, i}, "value/"+d.Name, d.Type), graph.Node{}
		if l.metas[i].Prunable() {
			masks[i] = l.input(port{portMask, i}, "mask/"+d.Name, graph.Type{DType: array.Bit, Shape: d.Shape})
			at[i] = l.b.Mask(at[i], masks[i])
		}
	}
}
