package compress

import (
	"errors"
	"fmt"
)

// CheckCompressor returns an error that names c and says which of its settings is out of range, before c has seen a weight. A compressor
// of one's own takes part by a method Check() error; one without it passes.
func CheckCompressor(c Compressor) error {
	if c == nil {
		return errors.New("compress: the compressor is nil; give one, for example compress.TopK(0.9)")
	}
	if err := fault(c); err != nil {
		return fmt.Errorf("compress: %v: %w", c, err)
	}
	return nil
}

// fault returns what is wrong with the settings of c, which is not nil.
func fault(c Compressor) error {
	if c, ok := c.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}
