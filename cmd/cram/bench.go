package main

import "github.com/spf13/cobra"

func (a *app) bench() *cobra.Command {
	cmd := group("bench", "Measure speed on synthetic data")
	cmd.AddCommand(a.benchTrain())
	return cmd
}
