package main

import "github.com/spf13/cobra"

func (a *app) bench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure speed on synthetic data",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(a.benchTrain())
	return cmd
}
