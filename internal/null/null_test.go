package null

import (
	"fmt"
	"io"
	"testing"
	"time"
)

func TestIs(t *testing.T) {
	var hidden fmt.Stringer = (*time.Time)(nil)
	var empty fmt.Stringer
	for _, x := range []any{nil, hidden, empty, (*int)(nil), io.Reader(nil)} {
		if !Is(x) {
			t.Errorf("%T %v is there", x, x)
		}
	}
	for _, x := range []any{0, "", time.Time{}, new(int), []int(nil), map[string]int(nil), (func())(nil)} {
		if Is(x) {
			t.Errorf("%T is not there", x)
		}
	}
}
