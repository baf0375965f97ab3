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
		Short: "Write a level for other tools",
		Long: `Write one level for other tools, dense with its zeros. safetensors holds the weights alone, under the names that PyTorch's users know:
torchvision's and timm's for ResNets, torchvision's for VGG16, and cram's own for its own networks. onnx (opset 17) holds the whole network, the normalisation of its input included: it takes a batch
of raw values from 0 to 1 and gives logits.`,
		Example: `  cram export net90.cram --format onnx --fold-bn --out net90.onnx
  cram export levels.cram --level topk:0.9 --format safetensors --out net90.safetensors`,
		Args: cobra.ExactArgs(1),
		RunE: a.action(func(_ context.Context, args []string) error { return a.runExport(args[0], f) }),
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.format, "format", "", "safetensors or onnx")
	fs.StringVar(&f.level, "level", "", "level to write; may be left out when the file has one only")
	fs.BoolVar(&f.fold, "fold-bn", false, "onnx: merge batch norms into the convolutions before them")
	fs.StringVar(&f.out, "out", "", "file to write")
	cmd.MarkFlagRequired("format")
	cmd.MarkFlagRequired("out")
	return cmd
}

func (a *app) runExport(file string, f exportFlags) error {
	var write func(io.Writer, *checkpoint.Reader, *checkpoint.Level) error
	switch {
	case f.format == "onnx":
		write = f.writeONNX
	case f.format == "safetensors" && f.fold:
		return usagef("--fold-bn goes with --format onnx")
	case f.format == "safetensors":
		write = writeWeights
	default:
		return usagef("--format is %q, must be safetensors or onnx", f.format)
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

// metadata says where an exported level comes from.
func metadata(r *checkpoint.Reader, l *checkpoint.Level) map[string]string {
	m := r.Info()
	return map[string]string{"model": m.Model, "recipe": m.Recipe, "data": m.Data, "level": l.Name, "format": "pt"}
}

// replace writes a file beside path, flushes it to the disk, and renames it to path once it is whole. An error of the disk names path; one of
// write, which no disk caused, is returned as it is.
func replace(path string, write func(io.Writer) error) error {
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	b := bufio.NewWriterSize(out, 1<<20)
	wrong := write(b)
	if err = b.Flush(); err != nil {
		wrong = nil // it is what became of the disk's error, which a bufio.Writer repeats
	} else if wrong == nil {
		err = errors.Join(out.Chmod(0o644), out.Sync())
	}
	if err = errors.Join(err, out.Close()); err == nil && wrong == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		err = fmt.Errorf("save %s: %w", path, err)
	}
	if err = errors.Join(wrong, err); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}
