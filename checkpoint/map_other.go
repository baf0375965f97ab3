//go:build !unix

package checkpoint

import (
	"errors"
	"fmt"
	"runtime"
)

const dontWait = 0

func mapFile(string) (opened, int64, error) {
	return nil, 0, fmt.Errorf("files are not mapped on %s, use Open: %w", runtime.GOOS, errors.ErrUnsupported)
}
