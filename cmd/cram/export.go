package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/checkpoint/onnx"
	"github.com/compressaware/cram/checkpoint/safetensors"
)

type exportFlags struct {
	level, format, out string
	fold               bool
}

func (a *app) export() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export FILE --format safetensors|onnx --out FILE",
		Short: "Write a level as safetensors or ONNX",
		Long: `Write one level in a format of other tools. Zeros are stored like all other weights.

- safetensors contains the weights without the network. The names are those of torchvision and timm
  for ResNets, those of torchvision for VGG16, and cram's own for other models.
- onnx (opset 17) contains the whole network, with the normalization of its input. Its input is a
  batch of images with values from 0 to 1, its output the logits.`,
		Example: `  cram export net90.cram --format onnx --fold-bn --out net90.onnx
  cram export levels.cram --level topk:0.9 --format safetensors --out net90.safetensors`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runExport(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.format, "format", "", "`FORMAT` to write: safetensors or onnx")
	fs.StringVar(&f.level, "level", "", "`LEVEL` to write; not needed for a file with one level")
	fs.BoolVar(&f.fold, "fold-bn", false, "merge batch norms into the convolutions before them; onnx only")
	fs.StringVar(&f.out, "out", "", "`FILE` to write")
	cmd.MarkFlagRequired("format")
	cmd.MarkFlagRequired("out")
	return cmd
}

func (a *app) runExport(file string, f exportFlags) error {
	if err := oneOf("format", f.format, "safetensors", "onnx"); err != nil {
		return err
	}
	write := writeWeights
	if f.format == "onnx" {
		write = f.writeONNX
	} else if f.fold {
		return usagef("--fold-bn applies to --format onnx only")
	}
	r, err := checkpoint.Open(file)
	if err != nil {
		return err
	}
	defer r.Close()
	level, err := r.Level(f.level)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	err = replace(f.out, func(w io.Writer) error {
		if err := write(w, r, level); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.printWritten(f.out)
}

func writeWeights(w io.Writer, r *checkpoint.Reader, l *checkpoint.Level) error {
	return safetensors.Write(w, l.Tensors, metadata(r, l))
}

func (f exportFlags) writeONNX(w io.Writer, r *checkpoint.Reader, l *checkpoint.Level) error {
	program, err := r.Program("infer")
	if err != nil {
		return err
	}
	m := onnx.Model{Name: r.Info().Model, Program: program, Tensors: l.Tensors, Metadata: metadata(r, l)}
	if f.fold {
		if m, err = onnx.Fold(m); err != nil {
			return err
		}
	}
	return onnx.Write(w, m)
}

// metadata returns the provenance of an exported level.
func metadata(r *checkpoint.Reader, l *checkpoint.Level) map[string]string {
	m := r.Info()
	return map[string]string{"model": m.Model, "recipe": m.Recipe, "data": m.Data, "level": l.Name, "format": "pt"}
}

// replace writes a temporary file in the directory of path, flushes it to the disk and renames it
// to path. An error of the disk contains path. An error of write is returned unchanged.
func replace(path string, write func(io.Writer) error) error {
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	b := bufio.NewWriterSize(out, 1<<20)
	writeErr := write(b)
	if err = b.Flush(); err != nil {
		writeErr = nil // a consequence of the disk's error, which Flush repeats
	} else if writeErr == nil {
		err = errors.Join(out.Chmod(0o644), out.Sync())
	}
	if err = errors.Join(err, out.Close()); err == nil && writeErr == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		err = fmt.Errorf("save %s: %w", path, err)
	}
	if err = errors.Join(writeErr, err); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
