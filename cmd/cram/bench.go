package main

import "github.com/spf13/cobra"

func (a *app) bench() *cobra.Command {
	return group("bench", "Measure speed and file sizes with synthetic data", a.benchFile(), a.benchTrain())
}
