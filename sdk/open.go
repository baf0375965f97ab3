package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk/graph"
)

// Save writes the network with all its levels to a file. An earlier file at path is replaced after
// the new one is complete and on disk.
func (n *Network) Save(path string) error {
	if n.programs.infer == nil {
		return fmt.Errorf("sdk: Save: %w", errNoNetwork)
	}
	if err := checkpoint.Save(path, n.file()); err != nil {
		return fmt.Errorf("sdk: Save: %w", err)
	}
	return nil
}

// file returns the network as the content of a checkpoint.
func (n *Network) file() *checkpoint.File {
	f := &checkpoint.File{Info: n.info, Programs: map[string]*graph.Program{programInfer: n.programs.infer}}
	for name, p := range map[string]*graph.Program{programTrain: n.programs.train, programReset: n.programs.reset} {
		if p != nil {
			f.Programs[name] = p
		}
	}
	if n.programs.train == nil && n.programs.tune != nil {
		f.Programs[programTune] = n.programs.tune
	}
	for _, l := range n.levels {
		f.Levels = append(f.Levels, checkpoint.Level{
			Name: l.name, Tensors: l.tensors, Notes: l.notes, Programs: l.programs, Activations: l.activations,
		})
	}
	return f
}

// storable returns an error unless the description and the programs can be stored. A training
// checks this before its first step.
func storable(info Info, p programs) error {
	return checkpoint.Write(io.Discard, (&Network{info: info, programs: p}).file())
}

// Open reads a network with all its levels from a file, to compress it further, to train it again
// or to make Predictors of it. [LoadSparse] reads one level only. A damaged file is a
// [*checkpoint.FormatError].
func Open(path string) (*Network, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sdk: Open: %w", err)
	}
	defer r.Close()
	n, err := readNetwork(r, r.Programs(), r.Levels())
	if err != nil {
		return nil, fmt.Errorf("sdk: Open: %s: %w", path, err)
	}
	return n, nil
}

// OpenFS is [Open] for a file of fsys, for example an embed.FS.
func OpenFS(fsys fs.FS, name string) (*Network, error) {
	r, f, err := openFS(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("sdk: OpenFS: %w", err)
	}
	defer f.Close()
	n, err := readNetwork(r, r.Programs(), r.Levels())
	if err != nil {
		return nil, fmt.Errorf("sdk: OpenFS: %s: %w", name, err)
	}
	return n, nil
}

// LoadSparse makes a Predictor of one level of a file. It reads the header, that level and the
// inference program, and passes the weights to the backend in the encoding of the file. It needs no
// code of the model.
//
// The file may be of unknown origin: LoadSparse checks all parts that it reads. The decoded weights
// may take at most 256 MiB plus 1,024 times the bytes that are stored.
// [PredictorOptions].MemoryLimit bounds the memory of the program.
//
// A level that the file does not have is a [*checkpoint.LevelError], a damaged file is a
// [*checkpoint.FormatError].
func LoadSparse(ctx context.Context, path string, o PredictorOptions) (*Predictor, error) {
	r, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparse: %w", err)
	}
	defer r.Close()
	p, err := readPredictor(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparse: %s: %w", path, err)
	}
	return p, nil
}

// LoadSparseFS is [LoadSparse] for a file of fsys, for example an embed.FS. A file without the
// method ReadAt, for example in a zip archive, is read as a whole.
func LoadSparseFS(ctx context.Context, fsys fs.FS, name string, o PredictorOptions) (*Predictor, error) {
	r, f, err := openFS(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFS: %w", err)
	}
	defer f.Close()
	p, err := readPredictor(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("sdk: LoadSparseFS: %s: %w", name, err)
	}
	return p, nil
}

// readPredictor makes a Predictor of the level in the options.
func readPredictor(ctx context.Context, r *checkpoint.Reader, o PredictorOptions) (*Predictor, error) {
	n, err := readNetwork(r, []string{programInfer}, []string{o.Level})
	if err != nil {
		return nil, err
	}
	return n.predictor(ctx, o)
}

// readNetwork returns the network with the given programs and levels of a file. It is an error if
// they do not match.
func readNetwork(r *checkpoint.Reader, programs, levels []string) (*Network, error) {
	n := &Network{info: r.Info()}
	var err error
	if n.info.Steps, err = r.Steps(); err != nil {
		return nil, err
	}
	if !slices.Contains(r.Programs(), programInfer) {
		return nil, fmt.Errorf("want a network, the file has no program %q", programInfer)
	}
	for _, name := range programs {
		p, err := r.Program(name)
		if err != nil {
			return nil, err
		}
		switch name {
		case programInfer:
			n.programs.infer = p
		case programTrain:
			n.programs.train = p
		case programTune:
			n.programs.tune = p
		case programReset:
			n.programs.reset = p
		}
	}
	if t := n.programs.train; t != nil {
		if n.programs.tune, err = onlyUpdates(t); err != nil {
			return nil, fmt.Errorf("program %q: %w", programTrain, err)
		}
	}
	if err := n.programs.check(); err != nil {
		return nil, err
	}
	n.info = n.programs.describe(n.info)
	if err := n.programs.checkPorts(n.info); err != nil {
		return nil, err
	}
	for _, name := range levels {
		l, err := r.Level(name)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(l.Programs, func(name string, _ *graph.Program) bool { return !slices.Contains(programs, name) })
		own, err := n.programs.replaced(l.Programs)
		if err == nil {
			err = own.check()
		}
		if err == nil {
			err = own.checkPorts(n.info)
		}
		if err != nil {
			return nil, fmt.Errorf("level %s: %w", l.Name, err)
		}
		tensors, err := own.widen(l.Tensors)
		if err == nil {
			err = own.checkTensors(tensors)
		}
		if err != nil {
			return nil, fmt.Errorf("level %s: %w", l.Name, err)
		}
		n.levels = append(n.levels, level{name: l.Name, tensors: tensors, notes: l.Notes, programs: l.Programs, activations: l.Activations})
	}
	return n, nil
}

// openFS opens a checkpoint in a file system. The caller closes the file.
func openFS(fsys fs.FS, name string) (*checkpoint.Reader, fs.File, error) {
	if fsys == nil {
		return nil, nil, errors.New("want a file system, got nil")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	r, err := newReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, errors.Join(err, f.Close()))
	}
	return r, f, nil
}

// newReader returns a reader of f. It reads a file without ReadAt as a whole.
func newReader(f fs.File) (*checkpoint.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if r, ok := f.(io.ReaderAt); ok {
		return checkpoint.NewReader(r, info.Size())
	}
	content, err := io.ReadAll(io.LimitReader(f, info.Size()))
	if err != nil {
		return nil, err
	}
	return checkpoint.NewReader(bytes.NewReader(content), int64(len(content)))
}
