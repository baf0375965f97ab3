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

// A Source is a file of tensors, such as *safetensors.File. The caller owns the result of Tensor.
type Source interface {
	Names() []string
	Tensor(name string) (array.Tensor, error)
}

// A Report compares the tensors of a file with the weights of a network.
type Report struct {
	// Library and Family are those of the table that matched the most names, such as
	// "transformers" and "ResNet". An empty Family means any.
	Library string `json:"library"`
	Family  string `json:"family,omitempty"`
	// Prefix was removed from all names of the file.
	Prefix string `json:"prefix,omitempty"`
	// Tensors is the number of weights of the network.
	Tensors int `json:"tensors"`
	// Widened are the weights that the file stores in 16 bits.
	Widened []string `json:"widened,omitempty"`
	// LeftOut are tensors of the file that are not weights.
	LeftOut []string `json:"left_out,omitempty"`
	// Missing, Unexpected and Unfit are what is wrong with the file. All empty: nothing is.
	Missing    []Missing `json:"missing,omitempty"`
	Unexpected []string  `json:"unexpected,omitempty"`
	Unfit      []Unfit   `json:"unfit,omitempty"`
}

// Missing is a weight that the file lacks.
type Missing struct {
	Name   string `json:"name"`   // in the network
	Theirs string `json:"theirs"` // in the file
}

// Unfit is a weight of the file with a wrong shape or dtype.
type Unfit struct {
	Name   string `json:"name"`
	Theirs string `json:"theirs"`
	Want   []int  `json:"want"` // the dimensions in the network
	Why    string `json:"why"`
}

// plain returns a name without quotes if it has only printable characters and no space.
func plain(name string) string {
	if quoted := strconv.Quote(name); quoted[1:len(quoted)-1] != name || strings.Contains(name, " ") || name == "" {
		return quoted
	}
	return name
}

// Err returns an error that lists everything that is wrong, or nil. It quotes names that have
// spaces or characters that are not printable.
func (r Report) Err() error {
	var wrong []string
	for _, m := range r.Missing {
		if m.Name == m.Theirs {
			wrong = append(wrong, fmt.Sprintf("%s is missing", plain(m.Name)))
		} else {
			wrong = append(wrong, fmt.Sprintf("%s is missing (here: %s)", plain(m.Theirs), plain(m.Name)))
		}
	}
	for _, name := range r.Unexpected {
		wrong = append(wrong, fmt.Sprintf("%s is unexpected", plain(name)))
	}
	for _, u := range r.Unfit {
		wrong = append(wrong, fmt.Sprintf("%s: %s (here: %s %v)", plain(u.Theirs), u.Why, plain(u.Name), u.Want))
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("naming: %d names do not fit those of %s: %s", len(wrong), r.Library, strings.Join(wrong, "; "))
}

// Convert reads the weights of a network from a file of another library, and returns them as
// float32 in cram's layout. want has the names and dimensions of the weights. Convert uses the
// table that matches the most names. If the file does not have exactly these weights, Convert
// returns no weights and a Report that lists what is wrong. The error is for files that cannot be
// read.
func Convert(want map[string][]int, from Source) (map[string]array.Tensor, Report, error) {
	var r Report
	if from == nil {
		return nil, r, errors.New("naming: want a Source, such as a file of package safetensors, got nil")
	}
	have := map[string]string{} // names of the file by the same without prefix
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
	r.Library, r.Family, r.Tensors = table.library, table.family, len(want)

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

// choose returns the first of the tables that match the most wanted names.
func choose(want map[string][]int, have map[string]string) table {
	var best table
	most := -1
	for _, t := range tables() {
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

// ours returns t in cram's layout, as float32 with the wanted dimensions.
func (l layout) ours(t array.Tensor, want []int) (array.Tensor, error) {
	theirs := l.theirs(t.Dims)
	if theirs == nil || !slices.Equal(l.squeezed(theirs, want), want) {
		return t, fmt.Errorf("has shape %v", t.Dims)
	}
	if t.DType != array.F32 {
		v, err := array.DenseValue(t).Cast(array.F32)
		if err != nil {
			return t, fmt.Errorf("want dtype f32, f16 or bf16, got %v", t.DType)
		}
		if t, err = v.Decode(); err != nil {
			return t, err
		}
	}
	switch l {
	case hwio:
		return permuted(t, [4]int{3, 2, 0, 1}, want)
	case hwc:
		return permuted(t, [4]int{2, 3, 0, 1}, want)
	}
	t.Dims = slices.Clone(want)
	return t, nil
}

// theirs returns dims in cram's order of axes, or nil.
func (l layout) theirs(dims []int) []int {
	switch {
	case l == asIs:
		return dims
	case len(dims) != 4:
		return nil
	case l == hwio:
		return []int{dims[3], dims[2], dims[0], dims[1]}
	case l == hwc && dims[3] == 1:
		return []int{dims[2], 1, dims[0], dims[1]}
	case l == flattened:
		return []int{dims[0], dims[1] * dims[2] * dims[3]}
	}
	return nil
}

// squeezed removes the last two axes of a 1×1 kernel if a matrix is wanted.
func (l layout) squeezed(dims, want []int) []int {
	if l == hwio && len(want) == 2 && dims[2] == 1 && dims[3] == 1 {
		return dims[:2]
	}
	return dims
}

// permuted returns y with y.shape[i] = x.shape[perm[i]], reshaped to dims.
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
