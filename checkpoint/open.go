package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Open opens the file at path. The caller closes the Reader. Directories, pipes and whatever else
// is not a regular file are refused.
func Open(path string) (*Reader, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	r, err := NewReader(f, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	r.file = f
	return r, nil
}

// openRegular opens a regular file and returns its size. It does not block: without nonblock,
// opening a pipe waits for a writer.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("not a regular file: %v", info.Mode())}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
