// Command cram trains networks so that they can be pruned after the training, prunes them,
// measures the results and shows the contents of the files.
//
//	cram train --model resnet20 --data cifar10 --method cram+ --epochs 8 --out net.cram
//	cram compress net.cram --with topk:0.5,topk:0.9 --data cifar10 --out levels.cram
//	cram eval levels.cram --data cifar10
//
// The file docs/cli.md describes all commands. Results are written to standard output, as text or,
// with --json, as one JSON object per line. Everything else is written to standard error. The exit
// code is 0 on success, 2 for an error in the command line and 1 for any other error.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
