// Package optim says how a network is trained, in three independent parts that are plain values.
//
// An [Method] says at which points the gradient is taken and how the gradients are mixed: [Plain], [SAM], and the CrAM
// family of Peste, Vladu, Kurtic, Lampert and Alistarh (ICLR 2023): [CrAM], [CrAMPlus]. A [Optimizer] says what is done with the
// mixed gradient: [SGD], [Adam], [AdamW], wrapped by [Clip] or split by [Groups]. A [Schedule] gives the learning rate.
//
//	optim.CrAMPlus(0.2, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9))
//	optim.SGD{Momentum: .9, WeightDecay: 5e-4}
//	optim.Cosine{Peak: .1, Warmup: 5}
//
// Any estimator works with any rule. An estimator never sees weight decay, momentum or the learning rate: those act
// once a step, in the rule, at the restored weights (paper §1).
package optim
