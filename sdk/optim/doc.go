// Package optim describes how a network is trained, in three independent parts that are plain
// values.
//
// A [Method] defines the points at which the gradient is computed and how the gradients are mixed:
// [Plain], [SAM], [CrAM] and [CrAMPlus]. An [Optimizer] computes the next weights from the mixed
// gradient: [SGD], [Adam] and [AdamW], optionally wrapped by [Clip] or split by [Groups]. A
// [Schedule] gives the learning rate of each step: [Constant], [Cosine], [MultiStep] and [Linear].
//
//	optim.CrAMPlus(0.05, compress.TopK(.5), compress.TopK(.7), compress.TopK(.9))
//	optim.SGD{Momentum: .9, WeightDecay: 5e-4}
//	optim.Cosine{Peak: .1, WarmupEpochs: 5}
//
// All combinations work. Weight decay, momentum and the learning rate belong to the optimizer; they
// act once in each step, on the uncompressed weights at which the step began.
//
// In the formulas θ stands for the weights, g for a gradient, L for the loss on the batch, C for a
// compressor, lr for the learning rate and t for the number of the step, which begins at 1.
//
// A method, an optimizer, a schedule or a [Move] with settings has a method Check, which reports
// settings that are out of range. The trainer calls it before the first step. For a Schedule it is
// Check(length Progress) error, for the others Check() error; both are optional for types of other
// packages.
package optim
