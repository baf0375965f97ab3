package main

import "github.com/spf13/cobra"

func (a *app) bench() *cobra.Command {
	cmd := group("bench", "Measure speed and size on synthetic data")
	cmd.AddCommand(a.benchTrain(), a.benchFile())
	return cmd
}
