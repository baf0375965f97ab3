package sdk

import (
	"fmt"

	"github.com/compressaware/cram/sdk/array"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/graph"
	"github.com/compressaware/cram/sdk/nn"
	"github.com/compressaware/cram/sdk/optim"
)

// A recipe is everything a training step is made of.
type recipe struct {
	model     nn.Model
	loss      nn.Loss
	input     graph.Shape
	method    optim.Method
	optimizer optim.Optimizer

	params []nn.Decl
	stats  []nn.Decl
	metas  []compress.Meta // of params
	train  []int           // indices of the params that are not frozen
	float  array.DType     // what steps compute in, F32 but for tests
}

// A segment is a stretch of a step: a program or, where program is nil, a call of a compressor that has no graph form.
// The call takes the last program's outputs at/NAME and feeds the next one's inputs value/NAME and keep/NAME.
// Only the last segment of a step updates slots other than scratch, so that a step that fails changes nothing.
type segment struct {
	program *graph.Program
	host    compress.Compressor
	masks   bool // the call must answer with masks alone, because they are reused
}

// cut is a segment under construction.
type cut struct {
	*recipe
	b       *graph.Builder
	weights []graph.Node // all params, at θ
	grads   []optim.Grads
	stats   map[string]graph.Node // next values, by slot
	x, y    graph.Node
	key     graph.Node
	clock   optim.Clock
}

// Names of what a training program is fed and returns.
const (
	inputX    = "x"
	inputY    = "y"
	inputLR   = "lr"
	inputStep = "step"
	inputKey  = "key"

	outputLoss = "loss"
)

func (r *recipe) open() *cut {
	b := graph.NewBuilder()
	c := &cut{recipe: r, b: b}
	c.x = b.Input(inputX, array.F32, r.input)
	c.y = b.Input(inputY, array.I32, r.input[:1])
	c.clock = optim.Clock{LR: b.Input(inputLR, array.F32, nil), Step: b.Input(inputStep, array.F32, nil)}
	c.key = b.Input(inputKey, array.I64, graph.Of(2))
	for _, d := range r.params {
		c.weights = append(c.weights, b.Slot(d.Slot))
	}
	return c
}

// lower builds the segments of one variant of a step.
func (r *recipe) lower(v variant) ([]segment, error) {
	var done []segment
	c := r.open()
	for i, point := range r.method.Points {
		at := c.move(point)
		keep := make([]graph.Node, len(at))
		if len(point.Compress) > 0 {
			compressor := point.Compress[v.draw[i]]
			before := append([]graph.Node(nil), at...)
			symbolic, inGraph := compressor.(compress.GraphCompressor)
			switch {
			case !v.fresh[i]:
				c.reuse(i, v.draw[i], at, keep)
			case inGraph:
				c.compress(symbolic, at, keep)
			default:
				program, err := c.suspend(at)
				if err != nil {
					return nil, err
				}
				done = append(done, segment{program: program}, segment{host: compressor, masks: point.Refresh > 1})
				c = c.resume()
				c.answer(at, keep)
			}
			if v.fresh[i] && point.Refresh > 1 {
				c.remember(i, v.draw[i], before, at, keep)
			}
		}
		c.gradient(i, at, keep, !point.DenseGradient)
	}
	mixed := r.method.Combine(c.b, c.grads)
	c.update(r.optimizer.Update(c.b, c.trained(c.weights), mixed, c.clock))
	for _, d := range r.stats {
		if next, ok := c.stats[d.Name]; ok {
			c.b.Update(d.Name, next)
		}
	}
	program, err := c.close()
	return append(done, segment{program: program}), err
}

// update ends the step with the next values of the trained params.
func (c *cut) update(next []graph.Node) {
	if len(next) != len(c.train) {
		c.b.Fail("rule %v answered for %d of %d parameters, want all, in order", c.optimizer, len(next), len(c.train))
		return
	}
	for j, i := range c.train {
		c.b.Update(c.params[i].Name, next[j])
	}
}

// close ends a program.
func (c *cut) close() (*graph.Program, error) {
	p, err := c.b.Program()
	if err == nil && c.float != array.F32 {
		p, err = p.WithFloat(c.float)
	}
	if err != nil {
		return nil, fmt.Errorf("sdk: training step: %w", err)
	}
	return p, nil
}

// trained returns the trained params as the optimizer sees them, with the given values of all params.
func (c *cut) trained(values []graph.Node) optim.Weights {
	w := make(optim.Weights, len(c.train))
	for j, i := range c.train {
		w[j] = compress.WeightNode{Meta: c.metas[i], W: values[i]}
	}
	return w
}

// move returns the values of all params at the point, before compression.
func (c *cut) move(p optim.Point) []graph.Node {
	at := append([]graph.Node(nil), c.weights...)
	if p.Move == nil {
		return at
	}
	moved := p.Move.Apply(c.b, c.trained(c.weights), c.grads)
	if len(moved) != len(c.train) {
		c.b.Fail("move %v answered for %d of %d parameters, want all, in order", p.Move, len(moved), len(c.train))
		return at
	}
	for j, i := range c.train {
		at[i] = moved[j].W
	}
	return at
}

// compress replaces the values at the point by compressed ones and fills in their masks.
func (c *cut) compress(s compress.GraphCompressor, at, keep []graph.Node) {
	syms := make([]compress.WeightNode, len(at))
	for i := range at {
		syms[i] = compress.WeightNode{Meta: c.metas[i], W: at[i]}
	}
	out := s.Build(c.b, syms)
	if len(out) != len(syms) {
		c.b.Fail("compressor %v answered for %d of %d weights", s, len(out), len(syms))
		return
	}
	for i, o := range out {
		at[i], keep[i] = o.Value, o.Mask
	}
}

// maskSlot declares the slot that keeps the mask of param p between uses of one compressor of a point.
func (c *cut) maskSlot(point, draw, p int) (string, graph.Node) {
	name := fmt.Sprintf("mask.%d.%d/%s", point, draw, c.params[p].Name)
	return name, c.b.Slot(graph.Slot{Name: name, Kind: graph.OptimizerState, Type: graph.Type{DType: array.Bit, Shape: c.params[p].Shape}})
}

// reuse masks the values at the point by the masks of an earlier step.
func (c *cut) reuse(point, draw int, at, keep []graph.Node) {
	for p, m := range c.metas {
		if m.Prunable() {
			_, keep[p] = c.maskSlot(point, draw, p)
			at[p] = c.b.Mask(at[p], keep[p])
		}
	}
}

// remember stores the masks for later steps. A weight that the compressor left dense stores a mask of ones.
func (c *cut) remember(point, draw int, before, at, keep []graph.Node) {
	for p, m := range c.metas {
		if !m.Prunable() {
			continue
		}
		mask := keep[p]
		if mask.None() {
			if at[p] != before[p] {
				c.b.Fail("%v changes %s without a mask, so there is nothing to reuse; set Refresh to 1", c.method.Points[point].Compress[draw], m.Name)
			}
			zero := c.b.ConstLike(at[p], 0)
			mask = c.b.Less(zero, c.b.Shift(zero, 1))
		}
		name, _ := c.maskSlot(point, draw, p)
		c.b.Update(name, mask)
	}
}

// gradient appends one gradient evaluation at the given values and records it, masked where there is a mask.
// Only the first, clean pass moves the running statistics (paper §3); nobody asks for those of the others.
func (c *cut) gradient(point int, at, keep []graph.Node, mask bool) {
	pass := nn.NewPass(c.b, nn.Train)
	pass.Key = c.key
	pass.Weights = map[string]graph.Node{}
	for i, d := range c.params {
		pass.Weights[d.Name] = at[i]
	}
	loss := c.loss(c.b, c.model.Forward(pass, c.x), c.y)
	wrt := make([]graph.Node, len(c.train))
	for j, i := range c.train {
		wrt[j] = at[i]
	}
	grads := c.b.Grad(loss, wrt...)
	for j, i := range c.train {
		if mask && !keep[i].None() {
			grads[j] = c.b.Mask(grads[j], keep[i])
		}
	}
	c.grads = append(c.grads, grads)
	if point == 0 {
		c.stats = pass.Stats
		c.b.Output(outputLoss, loss)
	}
}

func (c *cut) scratch(name string, t graph.Type) (string, graph.Node) {
	return name, c.b.Slot(graph.Slot{Name: name, Kind: graph.Scratch, Type: t})
}

func gradSlot(point int, d nn.Decl) string { return fmt.Sprintf("step.grad.%d/%s", point, d.Name) }
func statSlot(d nn.Decl) string            { return "step.stat/" + d.Name }

// suspend ends a program in front of a host call: the values at the point go out, gradients and statistics to scratch slots.
func (c *cut) suspend(at []graph.Node) (*graph.Program, error) {
	for i, d := range c.params {
		c.b.Output("at/"+d.Name, at[i])
	}
	for point, grads := range c.grads {
		for j, g := range grads {
			d := c.params[c.train[j]]
			name, _ := c.scratch(gradSlot(point, d), d.Type)
			c.b.Update(name, g)
		}
	}
	for _, d := range c.recipe.stats {
		if next, ok := c.stats[d.Name]; ok {
			name, _ := c.scratch(statSlot(d), d.Type)
			c.b.Update(name, next)
		}
	}
	return c.close()
}

// resume opens the program behind a host call, reading back what suspend stored.
func (c *cut) resume() *cut {
	next := c.open()
	for point := range c.grads {
		grads := make(optim.Grads, len(c.train))
		for j, p := range c.train {
			_, grads[j] = next.scratch(gradSlot(point, c.params[p]), c.params[p].Type)
		}
		next.grads = append(next.grads, grads)
	}
	next.stats = map[string]graph.Node{}
	for _, d := range c.recipe.stats {
		if _, ok := c.stats[d.Name]; ok {
			_, next.stats[d.Name] = next.scratch(statSlot(d), d.Type)
		}
	}
	return next
}

// answer declares the inputs that the host call feeds: values for every param, masks for the prunable ones.
func (c *cut) answer(at, keep []graph.Node) {
	for i, d := range c.params {
		at[i], keep[i] = c.b.Input("value/"+d.Name, d.DType, d.Shape), graph.Node{}
		if c.metas[i].Prunable() {
			keep[i] = c.b.Input("keep/"+d.Name, array.Bit, d.Shape)
			at[i] = c.b.Mask(at[i], keep[i])
		}
	}
}
