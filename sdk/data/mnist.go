package data

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MNIST returns a split of the handwritten digits MNIST: 60,000 training or 10,000 test images of
// shape [1 28 28] in 10 classes, in memory.
//
// dir contains the four official files (train-images-idx3-ubyte.gz and so on), or a directory mnist
// with these files; [Fetch] creates it. A missing, short or corrupt file is a [*FileError].
//
// Reference: https://doi.org/10.1109/5.726791.
func MNIST(dir string, split Split) (Set, error) {
	return openIDX("mnist", dir, split, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
}

// FashionMNIST returns a split of the articles of clothing Fashion-MNIST. It has the files, numbers
// and shapes of [MNIST]. The files are in dir or in dir/fashion-mnist.
//
// Reference: https://arxiv.org/abs/1708.07747.
func FashionMNIST(dir string, split Split) (Set, error) {
	return openIDX("fashion-mnist", dir, split, []string{
		"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"})
}

// openIDX returns a split of a data set in the layout of MNIST.
func openIDX(name, dir string, split Split, classes []string) (Set, error) {
	if err := split.check(); err != nil {
		return nil, err
	}
	remedy, prefix := fetchRemedy(name, dir), "train"
	if split == Test {
		prefix = "t10k"
	}
	dir = subdirectory(dir, name)
	imagesFile := filepath.Join(dir, prefix+"-images-idx3-ubyte.gz")
	labelsFile := filepath.Join(dir, prefix+"-labels-idx1-ubyte.gz")
	dims, x, err := readIDX(imagesFile, 3, remedy)
	if err != nil {
		return nil, err
	}
	count, labels, err := readIDX(labelsFile, 1, remedy)
	if err != nil {
		return nil, err
	}
	if count[0] != dims[0] {
		return nil, &FileError{File: labelsFile, Offset: 4, Remedy: remedy,
			Reason: fmt.Sprintf("want %d labels, one for each image of %s, got %d", dims[0], imagesFile, count[0])}
	}
	for i, label := range labels {
		if int(label) >= len(classes) {
			return nil, &FileError{File: labelsFile, Offset: int64(8 + i), Remedy: remedy,
				Reason: fmt.Sprintf("want a label from 0 to %d, got %d", len(classes)-1, label)}
		}
	}
	return FromLabeled(&pixels{shape: []int{1, dims[1], dims[2]}, x: x, labels: labels, classes: classes})
}

// readIDX reads a gzipped idx file of unsigned bytes. It consists of two zero bytes, the type code
// 8, the rank, the dimensions as big-endian 32-bit numbers, and the values.
func readIDX(path string, rank int, remedy string) (dims []int, values []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, &FileError{File: path, Offset: -1, Remedy: remedy, Err: err}
	}
	defer f.Close()
	unzip, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, &FileError{File: path, Offset: 0, Reason: "want a gzip file", Remedy: remedy, Err: err}
	}
	header := make([]byte, 4+4*rank)
	if n, err := io.ReadFull(unzip, header); err != nil {
		return nil, nil, &FileError{File: path, Offset: int64(n), Reason: "the header is incomplete", Remedy: remedy, Err: err}
	}
	if want := [4]byte{0, 0, 8, byte(rank)}; [4]byte(header) != want {
		return nil, nil, &FileError{File: path, Offset: 0, Remedy: remedy,
			Reason: fmt.Sprintf("want the idx header % x (unsigned bytes of rank %d), got % x", want, rank, header[:4])}
	}
	size := 1
	for at := 4; at < len(header); at += 4 {
		d := int(binary.BigEndian.Uint32(header[at:]))
		if d < 1 || d > maxIDX/size {
			return nil, nil, &FileError{File: path, Offset: int64(at), Remedy: remedy,
				Reason: fmt.Sprintf("want dimensions of at least 1 and at most %d values in all, got dimension %d", maxIDX, d)}
		}
		dims, size = append(dims, d), size*d
	}
	// The buffer grows with the data, because the size in the header may be wrong.
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(unzip, int64(size)+1))
	if err == nil && n != int64(size) {
		err = fmt.Errorf("want %d values for dimensions %v, got %d or more", size, dims, n)
	}
	if err != nil {
		return nil, nil, &FileError{File: path, Offset: int64(len(header)) + min(n, int64(size)), Remedy: remedy, Err: err}
	}
	return dims, body.Bytes(), nil
}

// maxIDX is the largest number of values of an idx file: 1 GiB, twenty times the largest published
// one.
const maxIDX = 1 << 30
