package kernels

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// peakChains is the number of independent chains of multiply-adds in a peak loop: enough to hide
// the latency of two FMA units.
const peakChains = 12

// peakLanes is the number of float32 values in a vector register.
var peakLanes = [...]int{Portable: 1, AVX2: 8, AVX512: 16}

// BenchmarkPeak measures the multiply-add peak of one core in GFLOP/s, where a multiply-add counts
// as two operations. Each iteration takes the best of several measurements of a loop of independent
// multiply-adds on registers. The figure of Portable is that of compiled Go with scalars.
func BenchmarkPeak(b *testing.B) {
	const steps, measurements = 200_000, 15
	for _, isa := range instructionSets() {
		b.Run(isa.String(), func(b *testing.B) {
			for b.Loop() {
				best := time.Duration(1<<63 - 1)
				for range measurements {
					start := time.Now()
					peakLoops[isa](steps)
					best = min(best, time.Since(start))
				}
				b.ReportMetric(peakFLOPs(isa, steps)/float64(best.Nanoseconds()), "GFLOP/s")
			}
		})
	}
}

// peakFLOPs returns the number of operations of a peak loop.
func peakFLOPs(isa InstructionSet, steps int) float64 {
	return 2 * float64(steps) * peakChains * float64(peakLanes[isa])
}

// benchWithPeak times call, and after each call a short peak loop, so that both are measured in the
// same state of the machine. It reports the GFLOP/s of the median call, the median peak, and the
// first as a percentage of the second.
func benchWithPeak(b *testing.B, isa InstructionSet, flops float64, call func()) {
	const steps = 20_000
	call()
	var calls, peaks []time.Duration
	for b.Loop() {
		start := time.Now()
		call()
		between := time.Now()
		peakLoops[isa](steps)
		calls, peaks = append(calls, between.Sub(start)), append(peaks, time.Since(between))
	}
	rate := func(flops float64, times []time.Duration) float64 {
		slices.Sort(times)
		return flops / float64(times[len(times)/2].Nanoseconds())
	}
	own, peak := rate(flops, calls), rate(peakFLOPs(isa, steps), peaks)
	b.ReportMetric(own, "GFLOP/s")
	b.ReportMetric(peak, "peak-GFLOP/s")
	b.ReportMetric(100*own/peak, "%peak")
}

// peakPortable computes 12 independent chains of a scalar multiplication and addition.
func peakPortable(steps int) {
	var a, b, c, d, e, f, g, h, i, j, k, l float32
	x, y := peakX, peakY
	for range steps {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
		i, j, k, l = i*x+y, j*x+y, k*x+y, l*x+y
	}
	runtime.KeepAlive(a + b + c + d + e + f + g + h + i + j + k + l)
}

// peakX and peakY are variables, so the compiler cannot compute peakPortable in advance.
var peakX, peakY float32 = 0.5, 1
