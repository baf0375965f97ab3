package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/sdk/data"
	"github.com/compressaware/cram/sdk/progress"
)

func (a *app) data() *cobra.Command {
	return group("data", "List and download data sets", a.dataList(), a.dataFetch())
}

func (a *app) dataList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the known data sets",
		Long: `List the names that --data accepts, with the normalization and the augmentation that cram train
uses for each data set.`,
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

// A datasetResult is one line of data list.
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
		Short: "Download a data set",
		Long: `Download cifar10, fashion-mnist or mnist from the address of its authors into a subdirectory of
--data-dir, and check the SHA-256 of every file. Files that exist and have the right SHA-256 are
not downloaded again. After an interruption, the same command continues the download.`,
		Example: `  cram data fetch cifar10 --data-dir ~/data
  cram data fetch mnist --data-dir ~/data --mirror https://mirror.example.com/mnist/`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(ctx context.Context, args []string) error {
			return a.runDataFetch(ctx, args[0], dir, data.FetchOptions{Mirror: mirror})
		}),
	}
	fs := cmd.Flags()
	fs.StringVar(&dir, "data-dir", ".", "`DIR` in which the subdirectory of the data set is made")
	fs.StringVar(&mirror, "mirror", "", "`URL` of a directory to download from instead; the checksums stay the same")
	return cmd
}

// A fetchResult reports that a data set is complete.
type fetchResult struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
}

func (r fetchResult) text() string { return fmt.Sprintf("%s is in %s", r.Name, r.Dir) }

func (a *app) runDataFetch(ctx context.Context, name, dir string, o data.FetchOptions) error {
	if names := datasetNames(); !slices.Contains(names, name) {
		return usagef("data set: want %s, got %q", either(names), name)
	}
	show := progress.New(a.stderr)
	defer show.Close()
	o.Progress = show.Bytes
	if err := data.Fetch(ctx, name, dir, o); err != nil {
		return err
	}
	return a.print(fetchResult{name, dir})
}
