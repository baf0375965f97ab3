package compress

import (
	"fmt"
	"strings"
)

// settingsError returns err as an error about the settings of c, or nil.
func settingsError(c Compressor, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("compress: %v: %w", c, err)
}

// fault returns the error of c's method Check without the prefix that settingsError adds, or nil.
func fault(c Compressor) error {
	checked, ok := c.(interface{ Check() error })
	if !ok {
		return nil
	}
	err := checked.Check()
	if err == nil {
		return nil
	}
	return trimmed{err, "compress: " + c.String() + ": "}
}

// trimmed is an error whose text lacks a prefix.
type trimmed struct {
	error
	prefix string
}

func (t trimmed) Error() string { return strings.TrimPrefix(t.error.Error(), t.prefix) }
func (t trimmed) Unwrap() error { return t.error }

func checkSparsity(p float64) error {
	if !(p >= 0 && p <= 1) { // NaN too
		return fmt.Errorf("sparsity is %v, want 0 (keep all) to 1 (keep none)", p)
	}
	return nil
}
