// Command avx512 is the CPU backend as a plugin: backends/cpu in a separate process. It uses
// AVX-512 if the processor has it.
//
//	go build -o cram-avx512 ./plugins/avx512
//	cram train --backend plugin:./cram-avx512 …
//
// -threads and -instructions set the fields Threads and InstructionSet of cpu.Options.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/compressaware/cram/backends/cpu"
	"github.com/compressaware/cram/plugins"
)

func main() {
	var o cpu.Options
	flag.IntVar(&o.Threads, "threads", 0, "worker threads; 0 means one for each core")
	flag.StringVar(&o.InstructionSet, "instructions", "", "portable, avx2 or avx512; empty means the best of the processor")
	flag.Parse()
	b, err := cpu.New(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	plugins.Serve(plugins.Plugin{Name: "avx512", Version: "1", Backend: b})
}
