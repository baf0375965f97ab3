package kernels

import "testing"

// BenchmarkBatchNorm measures the first layers of a ResNet-20 at batch 128: 8 MiB per tensor, more
// than the caches of a core. The GB/s count each tensor that a kernel reads or writes once. The
// copy shows the bandwidth of the memory.
func BenchmarkBatchNorm(b *testing.B) {
	p := Planes{Blocks: 1, Pixels: 32 * 32, From: 0, To: 128}
	size := p.To * p.Pixels * Block
	x, y, dy, dx, r := random(1, size), random(2, size), random(3, size), Floats(size), random(4, size)
	part := Floats(p.To * MomentsPart)
	v := random(5, Block)
	for _, k := range []struct {
		name    string
		tensors int
		call    func(isa InstructionSet)
	}{
		{"copy", 2, func(InstructionSet) { copy(dx, x) }},
		{"moments", 1, func(isa InstructionSet) { isa.Moments(part, x, p) }},
		{"normalize", 2, func(isa InstructionSet) { isa.Normalize(y, x, nil, Affine{v, v, v}, true, p) }},
		{"normalize+add", 3, func(isa InstructionSet) { isa.Normalize(y, x, r, Affine{v, v, v}, true, p) }},
		{"gradsums", 3, func(isa InstructionSet) { isa.NormGradSums(part, nil, dy, y, x, v, p) }},
		{"gradsums+g", 4, func(isa InstructionSet) { isa.NormGradSums(part, dx, dy, y, x, v, p) }},
		{"input", 3, func(isa InstructionSet) { isa.NormGradInput(dx, dy, nil, x, InputGrad{v, v, v, v}, p) }},
		{"inputrelu", 4, func(isa InstructionSet) { isa.NormGradInput(dx, dy, y, x, InputGrad{v, v, v, v}, p) }},
		{"add", 3, func(isa InstructionSet) { isa.Add(dx, x, y) }},
	} {
		for _, isa := range instructionSets() {
			b.Run(k.name+"/"+isa.String(), func(b *testing.B) {
				for b.Loop() {
					k.call(isa)
				}
				b.ReportMetric(float64(k.tensors*size*4)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}

// BenchmarkMergeMoments merges the partial sums of the last layers of a ResNet-20 at batch 128.
func BenchmarkMergeMoments(b *testing.B) {
	const images, blocks, pixels = 128, 4, 64
	part := random(1, images*blocks*MomentsPart)
	mean, variance := Floats(blocks*Block), Floats(blocks*Block)
	for b.Loop() {
		MergeMoments(mean, variance, part, images, blocks, pixels, 0, blocks)
	}
}
