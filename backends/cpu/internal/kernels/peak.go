package kernels

import (
	"runtime"
	"time"
)

// peakChains is the number of independent multiply-add chains in a peak loop: enough to hide the latency of two FMA units.
const peakChains = 12

// lanes is the number of float32 values in one vector register of each level.
var lanes = [...]int{Portable: 1, AVX2: 8, AVX512: 16}

// Lanes returns the number of float32 values that one vector register of the level holds: 1, 8 or 16.
func (l InstructionSet) Lanes() int { return lanes[l] }

// Peak measures the multiply-add peak of one core at this level, in GFLOP/s (a multiply-add counts two): the best of several runs of
// a loop of independent register-only multiply-adds. It takes some 30 ms. Benchmarks print it beside their own figures.
// For Portable it is what compiled Go reaches with scalars.
func (l InstructionSet) Peak() float64 {
	const steps, runs = 200_000, 15
	loop := peakLoops[l]
	best := time.Duration(1<<63 - 1)
	for range runs {
		start := time.Now()
		loop(steps)
		best = min(best, time.Since(start))
	}
	flops := 2 * float64(steps) * peakChains * float64(l.Lanes())
	return flops / float64(best.Nanoseconds())
}

// peakPortable runs 12 independent chains of scalar multiply and add.
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

// peakX and peakY keep the compiler from knowing the factors of peakPortable.
var peakX, peakY float32 = 0.5, 1
