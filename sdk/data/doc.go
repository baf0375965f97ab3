// Package data provides data sets, augmentation and batching.
//
// A [Set] is an indexable collection of labelled examples: CIFAR-10, the MNIST family, a folder of
// images, slices in memory, or anything else with the four methods. A [Transform] turns one example
// into another. A [Loader] puts the two together and yields batches:
//
//	train, err := data.CIFAR10(dir, data.Train)
//	…
//	loader := data.Loader{
//		Set:        train,
//		Batch:      128,
//		Shuffle:    true,
//		Seed:       10,
//		Transforms: []data.Transform{data.RandomCrop{Padding: 4}, data.RandomHorizontalFlip{}, normalize},
//	}
//	for batch, err := range loader.Epoch(ctx, epoch, 0) { … }
//
// Everything random is a function of (seed, epoch, index): see [Random]. A run that is stopped
// anywhere and asked for the same epoch from the same batch goes on with exactly the numbers it
// would have seen, and nothing has to be stored for that.
//
// The package ships no data. [Fetch] downloads the published sets from where their authors put
// them, checks them and lays them out; [Shapes] needs no download at all, for it draws its images
// itself.
package data
