package data

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// extract writes the files of d from its archive to dir. It writes to a temporary directory first
// and renames the files after all of them have been checked. It ignores entries that d does not
// list, and never uses a name of the archive as a path.
func extract(archive, dir string, d *download) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	temporary, err := os.MkdirTemp(dir, "."+d.directory+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	unzip, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	wanted := make(map[string]publishedFile)
	for _, file := range d.files {
		wanted[path.Join(d.directory, file.name)] = file
	}
	for entries := tar.NewReader(unzip); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		file, ok := wanted[path.Clean(entry.Name)]
		if !ok || entry.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(filepath.Join(temporary, file.name), entries, file.size); err != nil {
			return fmt.Errorf("%s: %s: %w", archive, entry.Name, err)
		}
	}
	for _, file := range d.files {
		if err := file.check(filepath.Join(temporary, file.name)); err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
	}
	for _, file := range d.files {
		if err := os.Rename(filepath.Join(temporary, file.name), filepath.Join(dir, d.directory, file.name)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes in to a file. More than limit bytes are an error.
func writeFile(name string, in io.Reader, limit int64) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err != nil {
		return err
	}
	if n > limit {
		return fmt.Errorf("want at most %d bytes, got more", limit)
	}
	return out.Close()
}
