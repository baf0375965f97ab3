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
	return through("Open", path, r, err, whole)
}

// OpenFrom is [Open] from the size bytes of r, which it does not use once it has returned.
func OpenFrom(r io.ReaderAt, size int64) (*Network, error) {
	c, err := checkpoint.NewReader(r, size)
	return through("OpenFrom", "", c, err, whole)
}

// OpenFS is [Open] from a file of fsys.
func OpenFS(fsys fs.FS, name string) (*Network, error) {
	r, file, err := openFS(fsys, name)
	if err == nil {
		defer file.Close()
	}
	return through("OpenFS", name, r, err, whole)
}

// LoadSparse makes a Predictor of one level of a file: no model code, no plugin, no cgo. It reads that level and the program that
// infers, nothing else, and the weights stay encoded until the backend packs them.
//
// A file may come from anybody: it is refused unless all of it that is read is right, and its weights may not claim more than 256 MiB and 1,024 times what it
// stores. What Predict needs for the values in between is up to its program.
func LoadSparse(path string, opts ...Option) (*Predictor, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparse: %w", err)
	}
	r, err := checkpoint.Open(path)
	return through("LoadSparse", path, r, err, o.serve)
}

// LoadSparseFrom is [LoadSparse] from the size bytes of r, for example a [bytes.Reader] over what go:embed put into the program.
// It does not use r once it has returned.
func LoadSparseFrom(r io.ReaderAt, size int64, opts ...Option) (*Predictor, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFrom: %w", err)
	}
	c, err := checkpoint.NewReader(r, size)
	return through("LoadSparseFrom", "", c, err, o.serve)
}

// LoadSparseFS is [LoadSparse] from a file of fsys, for example an embed.FS. One that cannot be read at any place, as in a zip archive, is
// read whole.
func LoadSparseFS(fsys fs.FS, name string, opts ...Option) (*Predictor, error) {
	o, err := gather(opts)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFS: %w", err)
	}
	r, file, err := openFS(fsys, name)
	if err == nil {
		defer file.Close()
	}
	return through("LoadSparseFS", name, r, err, o.serve)
}

// openFS opens a file of fsys. The caller closes the file after its last use of the Reader. A file
// without ReadAt, as in a zip archive, is read whole.
func openFS(fsys fs.FS, name string) (*checkpoint.Reader, io.Closer, error) {
	if fsys == nil {
		return nil, nil, errors.New("the file system is nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	from, ok := f.(io.ReaderAt)
	size := info.Size()
	if !ok {
		content, err := io.ReadAll(io.LimitReader(f, size))
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		from, size = bytes.NewReader(content), int64(len(content))
	}
	r, err := checkpoint.NewReader(from, size)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, errors.Join(err, f.Close()))
	}
	return r, f, nil
}

// through makes use of a file that was opened, or could not be, and closes it. Errors name the door that the caller came through, and the
// file, which those of opening name by themselves.
func through[T any](door, file string, r *checkpoint.Reader, err error, use func(*checkpoint.Reader) (*T, error)) (*T, error) {
	var v *T
	if err == nil {
		defer r.Close()
		if v, err = use(r); err == nil {
			return v, nil
		}
		if file != "" {
			err = fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil, fmt.Errorf("sdk: %s: %w", door, err)
}

// whole returns the network with everything that its file holds.
func whole(r *checkpoint.Reader) (*Network, error) { return read(r, r.Programs(), r.Levels()) }

// serve makes a Predictor of the level that the options name.
func (o options) serve(r *checkpoint.Reader) (*Predictor, error) {
	n, err := read(r, []string{programInfer}, []string{o.level})
	if err != nil {
		return nil, err
	}
	return n.predictor(context.Background(), o)
}

// read returns the network with the given programs and levels of a file, after checking that they fit together.
func read(r *checkpoint.Reader, programs, levels []string) (*Network, error) {
	n := &Network{info: r.Info()}
	var err error
	if n.info.Steps, err = r.Steps(); err != nil {
		return nil, err
	}
	if !slices.Contains(r.Programs(), programInfer) {
		return nil, fmt.Errorf("the file has no program %q, so it is not a network", programInfer)
	}
	for _, name := range programs {
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
	n.info = n.programs.describe(n.info) // a file of version 1 may lack ports
	if err := n.programs.check(n.info.Input()); err != nil {
		return nil, err
	}
	for _, name := range levels {
		l, err := r.Level(name)
		if err != nil {
			return nil, err
		}
		programs := n.programs.replaced(l.Programs)
		tensors, widened, err := programs.widen(l.Tensors)
		if err == nil {
			err = programs.fit(tensors)
		}
		if err != nil {
			return nil, fmt.Errorf("level %s: %w", l.Name, err)
		}
		n.levels = append(n.levels, level{name: l.Name, tensors: tensors, widened: widened, notes: l.Notes, programs: l.Programs, activations: l.Activations})
	}
	return n, nil
}

// file returns the network as the content of a checkpoint.
func (n *Network) file() *checkpoint.File {
	f := &checkpoint.File{Info: n.info, Programs: map[string]*graph.Program{programInfer: n.programs.infer}}
	if n.programs.tune != nil {
		f.Programs[programTune], f.Programs[programReset] = n.programs.tune, n.programs.reset
	}
	for _, l := range n.levels {
		f.Levels = append(f.Levels, checkpoint.Level{Name: l.name, Tensors: l.tensors, Notes: l.notes, Programs: l.programs, Activations: l.activations})
	}
	return f
}
