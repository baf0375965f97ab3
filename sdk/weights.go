package sdk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/compressaware/cram/sdk/compress"
)

// checkCompressor returns an error if c is nil or its settings are out of range.
func checkCompressor(c compress.Compressor) error {
	if c == nil {
		return errors.New("want a compressor, for example compress.TopK(0.9), got nil")
	}
	checked, ok := c.(interface{ Check() error })
	if !ok {
		return nil
	}
	err := checked.Check()
	if err == nil || strings.Contains(err.Error(), c.String()) {
		return err
	}
	return fmt.Errorf("%v: %w", c, err)
}
