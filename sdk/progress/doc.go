// Package progress shows the progress of a training or a download: a bar on a terminal, log lines
// elsewhere.
//
//	show := progress.New(os.Stderr)
//	defer show.Close()
//	t := sdk.Trainer{…, OnStep: show.Step, OnEpoch: show.Epoch}
//
// It is separate from package sdk, so that a program without it does not link a progress bar.
package progress
