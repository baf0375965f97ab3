// Package data provides data sets, augmentation and batches.
//
// A [Set] is a collection of examples that are read by index: CIFAR-10, the MNIST family, a
// directory of images, tensors in memory, or a type with the methods of Set. A [Transform] changes
// the main input of one example. A [Loader] applies transforms to a set and yields batches:
//
//	train, err := data.CIFAR10(dir, data.Train)
//	…
//	loader := data.Loader{
//		Set:        train,
//		Batch:      128,
//		Shuffle:    true,
//		Seed:       10,
//		Transforms: []data.Transform{data.RandomCrop{Padding: 4}, data.RandomHorizontalFlip{}},
//	}
//	for batch, err := range loader.Epoch(ctx, epoch, 0) { … }
//
// [FromSlices], [FromTensor] and [FromLabeled] make sets of examples that consist of one float32
// tensor and one class. [FromColumns] makes sets with any number of inputs and targets.
//
// All random numbers are functions of seed, epoch and index ([Random]). An epoch can begin at any
// batch and has the same batches from there on, so an interrupted training resumes without stored
// generator state.
//
// The package contains no data. [Fetch] downloads the published sets from their authors and checks
// them. [Shapes] draws its images and needs no download.
package data
