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

// extract takes the files of d out of its archive: into a temporary folder in dir first, then, all of them being
// there and checked, to their places. Entries that d does not list are passed over, whatever their names; no
// name from the archive is ever used as a path.
func extract(archive, dir string, d *download) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	temporary, err := os.MkdirTemp(dir, "."+d.folder+"-")
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
		wanted[path.Join(d.folder, file.name)] = file
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
		if err := os.Rename(filepath.Join(temporary, file.name), filepath.Join(dir, d.folder, file.name)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes at most limit bytes of in to a file; more is an error.
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
		return fmt.Errorf("expected at most %d bytes", limit)
	}
	return out.Close()
}
