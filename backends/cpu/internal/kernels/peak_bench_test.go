package kernels

import (
	"slices"
	"testing"
	"time"
)

// besidePeak times run, and after each run a short stretch of the level's peak loop, so that both see the same machine. It reports the
// GFLOP/s of the median run, the median peak, and the share.
func besidePeak(b *testing.B, l InstructionSet, flops float64, run func()) {
	const steps = 20_000
	run()
	var runs, peaks []time.Duration
	for b.Loop() {
		start := time.Now()
		run()
		between := time.Now()
		peakLoops[l](steps)
		runs, peaks = append(runs, between.Sub(start)), append(peaks, time.Since(between))
	}
	rate := func(flops float64, times []time.Duration) float64 {
		slices.Sort(times)
		return flops / float64(times[len(times)/2].Nanoseconds())
	}
	own, peak := rate(flops, runs), rate(2*steps*peakChains*float64(l.Lanes()), peaks)
	b.ReportMetric(own, "GFLOP/s")
	b.ReportMetric(peak, "peak-GFLOP/s")
	b.ReportMetric(100*own/peak, "%peak")
}
