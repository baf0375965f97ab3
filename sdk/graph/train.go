package graph

// TrainBatchNorm returns the training form of an inference program. Every batch_norm_infer whose
// mean and variance are slots becomes a batch_norm, which normalizes by the statistics of its
// batch, and the slots are updated:
//
//	running ← (1-momentum)·running + momentum·batch
//
// The variance of a batch of n elements a channel counts n/max(n-1, 1) times, which makes it
// unbiased. Other instructions remain: dropout, which an inference program lacks, does not return.
// It is an error if two instructions read one statistic.
func (p *Program) TrainBatchNorm(momentum float64) (*Program, error) {
	return p.rewrite(rule{
		pattern{op: OpBatchNormInfer, in: []pattern{{}, {}, {}, {name: "mean", op: OpSlot}, {name: "variance", op: OpSlot}}},
		func(r *rewriter, i Instr, m match) []Node {
			in := at(r.values, i.In)
			y, mean, variance := r.BatchNorm(in[0], in[1], in[2], i.Attr.(NormAttr).Eps)
			axes := []int{0}
			for axis := 2; axis < len(r.Shape(in[0])); axis++ {
				axes = append(axes, axis)
			}
			n := r.Builder.Count(in[0], axes...)
			unbiased := r.Mul(variance, r.Div(n, r.Max(r.Shift(n, -1), r.ConstLike(n, 1))))
			move := func(id ID, batch Node) {
				slot := r.p.Code[r.maker[id]].Attr.(SourceAttr).Name
				next := r.Add(r.Scale(r.values[id], 1-momentum), r.Scale(batch, momentum))
				r.Builder.p.Updates = append(r.Builder.p.Updates, Update{slot, next.id})
			}
			move(m["mean"], mean)
			move(m["variance"], unbiased)
			return []Node{y}
		},
	})
}
