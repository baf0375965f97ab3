package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// CIFAR10 returns a split of CIFAR-10: 50,000 training or 10,000 test images of shape [3 32 32] in
// 10 classes. It reads the official binary version into memory, 3 KiB for each image.
//
// dir contains data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt, or a
// directory cifar-10-batches-bin with these files; [Fetch] creates it. A missing, short or corrupt
// file is a [*FileError].
//
// Reference: https://www.cs.toronto.edu/~kriz/cifar.html.
func CIFAR10(dir string, split Split) (Set, error) {
	if err := split.check(); err != nil {
		return nil, err
	}
	remedy := fetchRemedy("cifar10", dir)
	dir = subdirectory(dir, cifarDirectory)
	classes, err := cifarClasses(filepath.Join(dir, "batches.meta.txt"), remedy)
	if err != nil {
		return nil, err
	}
	names := []string{"test_batch.bin"}
	if split == Train {
		names = []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}
	}
	set := &pixels{
		shape:   []int{3, 32, 32},
		x:       make([]byte, 0, len(names)*cifarRecords*cifarPixels),
		labels:  make([]byte, 0, len(names)*cifarRecords),
		classes: classes,
	}
	for _, name := range names {
		if err := set.appendCIFAR(filepath.Join(dir, name), remedy); err != nil {
			return nil, err
		}
	}
	return FromLabeled(set)
}

const (
	cifarDirectory = "cifar-10-batches-bin"
	cifarPixels    = 3 * 32 * 32
	cifarRecord    = 1 + cifarPixels // the label, then the planes of red, green and blue
	cifarRecords   = 10000           // in a file
)

// appendCIFAR adds the records of one batch file.
func (p *pixels) appendCIFAR(path, remedy string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return &FileError{File: path, Offset: -1, Remedy: remedy, Err: err}
	}
	if want := cifarRecords * cifarRecord; len(raw) != want {
		return &FileError{File: path, Offset: int64(min(len(raw), want)), Remedy: remedy,
			Reason: fmt.Sprintf("want a file of %d bytes, got %d", want, len(raw))}
	}
	for at := 0; at < len(raw); at += cifarRecord {
		if int(raw[at]) >= len(p.classes) {
			return &FileError{File: path, Offset: int64(at), Remedy: remedy,
				Reason: fmt.Sprintf("want a label from 0 to %d, got %d", len(p.classes)-1, raw[at])}
		}
		p.labels = append(p.labels, raw[at])
		p.x = append(p.x, raw[at+1:at+cifarRecord]...)
	}
	return nil
}

// cifarClasses reads the ten class names, one on each line.
func cifarClasses(path, remedy string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &FileError{File: path, Offset: -1, Remedy: remedy, Err: err}
	}
	classes := strings.Fields(string(raw))
	if len(classes) != 10 {
		return nil, &FileError{File: path, Offset: int64(len(raw)), Remedy: remedy,
			Reason: fmt.Sprintf("want 10 class names, got %d", len(classes))}
	}
	return classes, nil
}

// subdirectory returns dir/name if that is a directory, otherwise dir.
func subdirectory(dir, name string) string {
	inner := filepath.Join(dir, name)
	if info, err := os.Stat(inner); err == nil && info.IsDir() {
		return inner
	}
	return dir
}

// fetchRemedy returns the remedy for missing or corrupt files of a published set.
func fetchRemedy(name, dir string) string {
	return fmt.Sprintf("get it with: cram data fetch %s --data-dir %s", name, dir)
}
