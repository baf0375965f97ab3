// Package progress shows people how a training or a download goes: a bar on a terminal, plain log lines elsewhere.
//
//	show := progress.New(os.Stderr)
//	defer show.Close()
//	t := sdk.Trainer{…, OnStep: show.Step, OnEpoch: show.Epoch}
//
// It is a package of its own so that a program which trains silently, or only serves, links no progress bar.
package progress
