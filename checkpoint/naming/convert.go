package naming

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compressaware/cram/sdk/array"
)

// A Source is a file of tensors, such as *safetensors.File. It leaves what Tensor returns to the caller.
type Source interface {
	Names() []string
	Tensor(name string) (array.Tensor, error)
}

// A Report says how names of a file fit a network.
type Report struct {
	Library    string    `json:"library"`
	Family     string    `json:"family,omitempty"`
	Prefix     string    `json:"prefix,omitempty"`  // taken off every name
	Tensors    int       `json:"tensors"`           // that the network wants
	Widened    []string  `json:"widened,omitempty"` // stored in 16 bits, float32 now
	LeftOut    []string  `json:"left_out,omitempty"`
	Missing    []Missing `json:"missing,omitempty"`
	Unexpected []string  `json:"unexpected,omitempty"`
	Unfit      []Unfit   `json:"unfit,omitempty"`
}

// Missing is a weight that the file lacks.
type Missing struct {
	Name   string `json:"name"`   // ours
	Theirs string `json:"theirs"` // what the file would call it
}

// Unfit is a weight of another shape or type than the network's.
type Unfit struct {
	Name   string `json:"name"`
	Theirs string `json:"theirs"`
	Want   []int  `json:"want"` // in our layout
	Why    string `json:"why"`
}

// plain returns a name as it is, or quoted where a line with it could be taken for others: a file names its tensors as it likes.
func plain(name string) string {
	if quoted := strconv.Quote(name); quoted[1:len(quoted)-1] != name || strings.Contains(name, " ") || name == "" {
		return quoted
	}
	return name
}

// Err returns an error that lists everything that does not fit, or nil. Names that could mislead stand in quotes.
func (r Report) Err() error {
	var wrong []error
	for _, m := range r.Missing {
		if m.Name == m.Theirs {
			wrong = append(wrong, fmt.Errorf("%s is missing", plain(m.Name)))
		} else {
			wrong = append(wrong, fmt.Errorf("%s is missing (here: %s)", plain(m.Theirs), plain(m.Name)))
		}
	}
	for _, name := range r.Unexpected {
		wrong = append(wrong, fmt.Errorf("%s is unexpected", plain(name)))
	}
	for _, u := range r.Unfit {
		wrong = append(wrong, fmt.Errorf("%s: %s (here: %s %v)", plain(u.Theirs), u.Why, plain(u.Name), u.Want))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("naming: %d names do not fit, read by the names of %s: %w", len(wrong), r.Library, errors.Join(wrong...))
}

// Convert reads the weights that a network wants, our names with their extents, from a file of some library, in our layout and as
// float32. It takes the table of [Tables] that finds the most of them. Unless all are there, of the right shape, and nothing else is, the
// report lists what is wrong and no weights are returned; the error is for files that cannot be read.
func Convert(want map[string][]int, from Source) (map[string]array.Tensor, Report, error) {
	var r Report
	if from == nil {
		return nil, r, errors.New("naming: the source is nil; give an open file, for example of package safetensors")
	}
	have := map[string]string{} // the file's name, by the name without prefix
	names := from.Names()
	r.Prefix = commonPrefix(names)
	for _, name := range names {
		if slices.ContainsFunc(leftOut, func(end string) bool { return strings.HasSuffix(name, end) }) {
			r.LeftOut = append(r.LeftOut, name)
			continue
		}
		have[strings.TrimPrefix(name, r.Prefix)] = name
	}
	table := choose(want, have)
	r.Library, r.Family, r.Tensors = table.Library, table.Family, len(want)

	weights, used := map[string]array.Tensor{}, map[string]bool{}
	for _, ours := range slices.Sorted(maps.Keys(want)) {
		theirs, layout, ok := table.theirs(ours)
		name, found := have[theirs]
		if !ok || !found {
			r.Missing = append(r.Missing, Missing{ours, theirs})
			continue
		}
		used[theirs] = true
		t, err := from.Tensor(name)
		if err != nil {
			return nil, r, err
		}
		widened := t.DType == array.F16 || t.DType == array.BF16
		if t, err = layout.ours(t, want[ours]); err != nil {
			r.Unfit = append(r.Unfit, Unfit{ours, name, want[ours], err.Error()})
			continue
		}
		if widened {
			r.Widened = append(r.Widened, ours)
		}
		weights[ours] = t
	}
	for _, theirs := range slices.Sorted(maps.Keys(have)) {
		if !used[theirs] {
			r.Unexpected = append(r.Unexpected, have[theirs])
		}
	}
	if r.Err() != nil {
		return nil, r, nil
	}
	return weights, r, nil
}

// commonPrefix returns the first of prefixes that all names share.
func commonPrefix(names []string) string {
	for _, p := range prefixes {
		if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return !strings.HasPrefix(name, p) }) {
			return p
		}
	}
	return ""
}

// choose returns the first of the tables that find the most wanted names.
func choose(want map[string][]int, have map[string]string) Table {
	var best Table
	most := -1
	for _, t := range Tables() {
		found := 0
		for ours := range want {
			if theirs, _, ok := t.theirs(ours); ok && have[theirs] != "" {
				found++
			}
		}
		if found > most {
			best, most = t, found
		}
	}
	return best
}

// ours returns t in our layout, as float32 of the wanted extents.
func (l Layout) ours(t array.Tensor, want []int) (array.Tensor, error) {
	theirs := l.theirs(t.Dims)
	if theirs == nil || !slices.Equal(l.squeezed(theirs, want), want) {
		return t, fmt.Errorf("has shape %v", t.Dims)
	}
	if t.DType != array.F32 {
		v, err := array.DenseValue(t).Cast(array.F32)
		if err != nil {
			return t, fmt.Errorf("has type %v; want f32, f16 or bf16", t.DType)
		}
		if t, err = v.Decode(); err != nil {
			return t, err
		}
	}
	switch l {
	case HWIO:
		return permuted(t, [4]int{3, 2, 0, 1}, want)
	case HWC:
		return permuted(t, [4]int{2, 3, 0, 1}, want)
	}
	t.Dims = slices.Clone(want)
	return t, nil
}

// theirs returns the extents dims in our order of axes, or nil.
func (l Layout) theirs(dims []int) []int {
	switch {
	case l == AsIs:
		return dims
	case len(dims) != 4:
		return nil
	case l == HWIO:
		return []int{dims[3], dims[2], dims[0], dims[1]}
	case l == HWC && dims[3] == 1:
		return []int{dims[2], 1, dims[0], dims[1]}
	case l == Flattened:
		return []int{dims[0], dims[1] * dims[2] * dims[3]}
	}
	return nil
}

// squeezed drops the window of a 1×1 kernel where a matrix is wanted.
func (l Layout) squeezed(dims, want []int) []int {
	if l == HWIO && len(want) == 2 && dims[2] == 1 && dims[3] == 1 {
		return dims[:2]
	}
	return dims
}

// permuted returns y with y.shape[i] = x.shape[perm[i]], under the extents dims.
func permuted(x array.Tensor, perm [4]int, dims []int) (array.Tensor, error) {
	y, err := array.New(array.F32, dims...)
	if err != nil {
		return y, err
	}
	var stride, step, size [4]int
	for ax, n := 3, 1; ax >= 0; ax-- {
		stride[ax] = n
		n *= x.Dims[ax]
	}
	for i, ax := range perm {
		step[i], size[i] = stride[ax], x.Dims[ax]
	}
	from, to, k := x.F32(), y.F32(), 0
	for a := range size[0] {
		for b := range size[1] {
			for c := range size[2] {
				for d := range size[3] {
					to[k] = from[a*step[0]+b*step[1]+c*step[2]+d*step[3]]
					k++
				}
			}
		}
	}
	return y, nil
}
