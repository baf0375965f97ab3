package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/graph"
)

// Names of the programs in a file.
const (
	programInfer = "infer"
	programTune  = "tune"
	programReset = "reset"
)

// Save writes the network to one file that holds all its levels, replacing what was at path only once the new file is whole
// and on disk.
func (n *Network) Save(path string) error {
	if n.empty() {
		return fmt.Errorf("sdk: Save: %w", errNoNetwork)
	}
	if err := checkpoint.Save(path, n.file()); err != nil {
		return fmt.Errorf("sdk: %w", err)
	}
	return nil
}

// Open reads a network with all its levels, to compress it further or to make Predictors of it. A service that needs one
// level calls [LoadSparse], which reads no more than that.
func Open(path string) (*Network, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sdk: open: %w", err)
	}
	defer r.Close()
	n, err := read(r, r.Levels())
	if err != nil {
		return nil, fmt.Errorf("sdk: open %s: %w", path, err)
	}
	return n, nil
}

// LoadSparse makes a Predictor of one level of a file: no model code, no plugin, no cgo. It reads that level alone, and its
// weights stay encoded until the backend packs them.
func LoadSparse(path string, opts ...Option) (*Predictor, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparse: %w", err)
	}
	defer r.Close()
	p, err := serve(r, opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparse %s: %w", path, err)
	}
	return p, nil
}

// LoadSparseFrom is [LoadSparse] from the size bytes of r, for example a [bytes.Reader] over what go:embed put into the program.
// It does not use r once it has returned.
func LoadSparseFrom(r io.ReaderAt, size int64, opts ...Option) (*Predictor, error) {
	c, err := checkpoint.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFrom: %w", err)
	}
	p, err := serve(c, opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFrom: %w", err)
	}
	return p, nil
}

// LoadSparseFS is [LoadSparse] from a file of fsys. One that cannot be read at any place, as in a zip archive, is read whole.
func LoadSparseFS(fsys fs.FS, name string, opts ...Option) (*Predictor, error) {
	p, err := loadFS(fsys, name, opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFS %s: %w", name, err)
	}
	return p, nil
}

func loadFS(fsys fs.FS, name string, opts []Option) (*Predictor, error) {
	if fsys == nil {
		return nil, errors.New("the file system is nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	size := info.Size()
	if !ok {
		whole, err := io.ReadAll(io.LimitReader(f, size))
		if err != nil {
			return nil, err
		}
		r, size = bytes.NewReader(whole), int64(len(whole))
	}
	c, err := checkpoint.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	return serve(c, opts)
}

// serve makes a Predictor of the level of a file that opts name.
func serve(r *checkpoint.Reader, opts []Option) (*Predictor, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, err
	}
	n, err := read(r, []string{o.level})
	if err != nil {
		return nil, err
	}
	return n.predictor(context.Background(), o)
}

// read returns the network with the given levels of a file, after checking that programs and levels fit together.
func read(r *checkpoint.Reader, levels []string) (*Network, error) {
	n := &Network{info: r.Meta()}
	if !slices.Contains(r.Programs(), programInfer) {
		return nil, fmt.Errorf("the file has no program %q, so it is not a network", programInfer)
	}
	for _, name := range r.Programs() {
		p, err := r.Program(name)
		if err != nil {
			return nil, err
		}
		switch name {
		case programInfer:
			n.programs.infer = p
		case programTune:
			n.programs.tune = p
		case programReset:
			n.programs.reset = p
		}
	}
	if err := n.programs.check(n.info.Input); err != nil {
		return nil, err
	}
	for _, name := range levels {
		l, err := r.Level(name)
		if err != nil {
			return nil, err
		}
		tensors, widened, err := n.programs.widen(l.Tensors)
		if err == nil {
			err = n.programs.fit(tensors)
		}
		if err != nil {
			return nil, fmt.Errorf("level %s: %w", l.Name, err)
		}
		n.levels = append(n.levels, level{name: l.Name, tensors: tensors, widened: widened, notes: l.Notes})
	}
	return n, nil
}

// file returns the network as the content of a checkpoint.
func (n *Network) file() *checkpoint.File {
	f := &checkpoint.File{Meta: n.info, Programs: map[string]*graph.Program{programInfer: n.programs.infer}}
	if n.programs.tune != nil {
		f.Programs[programTune], f.Programs[programReset] = n.programs.tune, n.programs.reset
	}
	for _, l := range n.levels {
		f.Levels = append(f.Levels, checkpoint.Level{Name: l.name, Tensors: l.tensors, Notes: l.notes})
	}
	return f
}
