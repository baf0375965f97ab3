package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/progress"
)

func (a *app) data() *cobra.Command {
	cmd := group("data", "List and download data sets")
	cmd.AddCommand(a.dataList(), a.dataFetch())
	return cmd
}

func (a *app) dataList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the data sets that have a name",
		Example: "  cram data list",
		Args:    cobra.NoArgs,
		RunE: a.action(func(context.Context, []string) error {
			for _, k := range data.KnownSets() {
				if err := a.print(newDatasetResult(k)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// A datasetResult is a data set by name, and how it is used.
type datasetResult struct {
	Name    string    `json:"name"`
	Mean    []float32 `json:"mean"`
	Std     []float32 `json:"std"`
	Augment []string  `json:"augment"`
}

func newDatasetResult(k data.Known) datasetResult {
	r := datasetResult{Name: k.Name, Mean: k.Normalize.Mean, Std: k.Normalize.Std, Augment: []string{}}
	for _, t := range k.Augment {
		r.Augment = append(r.Augment, strings.TrimPrefix(fmt.Sprintf("%T%+v", t, t), "data."))
	}
	return r
}

func (r datasetResult) text() string {
	augment := "no augmentation"
	if len(r.Augment) > 0 {
		augment = strings.Join(r.Augment, ", ")
	}
	return fmt.Sprintf("%-14s mean %v, std %v; %s", r.Name, r.Mean, r.Std, augment)
}

func (a *app) dataFetch() *cobra.Command {
	var dir, mirror string
	cmd := &cobra.Command{
		Use:   "fetch NAME",
		Short: "Download a data set from where its authors put it",
		Long: `Download cifar10, fashion-mnist or mnist from the official address into a folder of its own inside --data-dir, and check every
file's SHA-256. What is there and right is left alone; an interrupted download goes on where it stopped.`,
		Example: `  cram data fetch cifar10 --data-dir ~/data
  cram data fetch mnist --data-dir ~/data --mirror https://mirror.example.com/mnist/`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error {
			if _, err := data.Lookup(args[0]); err != nil {
				return usageError{err}
			}
			show := progress.New(a.stderr)
			defer show.Close()
			if err := data.Fetch(ctx, args[0], dir, data.FetchOptions{Mirror: mirror, Progress: show.Bytes}); err != nil {
				return err
			}
			return a.print(fetched{args[0], dir})
		}),
	}
	cmd.Flags().StringVar(&dir, "data-dir", ".", "folder to put the data set's folder in")
	cmd.Flags().StringVar(&mirror, "mirror", "", "address of a folder to download from instead; the checksums stay the same")
	return cmd
}

// A fetched says which data set is there.
type fetched struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
}

func (r fetched) text() string { return fmt.Sprintf("%s is in %s", r.Name, r.Dir) }
