package sdk_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
	"github.com/compressaware/cram/sdk/data"
)

// TestPatternIsStored holds that an N:M level is stored as N:M, when the operator is inside a
// selection too.
func TestPatternIsStored(t *testing.T) {
	net := must(exampleTrainer().Fit(t.Context(), must(data.Shapes(32, 0)), nil))
	for _, c := range []compress.Compressor{compress.NM{N: 2, M: 4}, compress.Except(compress.NM{N: 2, M: 4}, "*.bias")} {
		small, err := sdk.Compress(t.Context(), net, sdk.Calibration{}, c)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "net.cram")
		if err := small.Save(path); err != nil {
			t.Fatal(err)
		}
		r, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		info, err := r.LevelInfo("")
		if err != nil {
			t.Fatal(err)
		}
		grouped := 0
		for _, i := range info.Tensors {
			if strings.HasPrefix(i.Encoding, "nm") {
				grouped++
			}
		}
		if grouped == 0 {
			t.Errorf("%v: no tensor is stored as N:M: %v", c, info.Tensors)
		}
	}
}
