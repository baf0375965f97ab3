package sdk_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/compressaware/cram/checkpoint"
	"github.com/compressaware/cram/sdk"
	"github.com/compressaware/cram/sdk/compress"
)

// TestPatternIsStored holds that an N:M level is stored in the encoding of its pattern, also when
// the compressor is inside a selection.
func TestPatternIsStored(t *testing.T) {
	net := fit(t, tinyTrainer(), shapes(t, 32, 0), nil)
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
