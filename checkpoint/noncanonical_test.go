package checkpoint

import (
	"bytes"
	"strings"
	"testing"

	"github.com/compressaware/cram/sdk/array"
)

// TestMalformedValues writes tensors of one part whose index contradicts itself or the values.
func TestMalformedValues(t *testing.T) {
	value := func(e array.Encoding, index string, stored int, dims ...int) array.Value {
		return array.Value{Encoding: e, DType: array.I8, Dims: dims, Index: []byte(index), Values: bytes.Repeat([]byte{1}, stored)}
	}
	groups := func(n, m int, index string, stored int, dims ...int) array.Value {
		v := value(array.GroupNM, index, stored, dims...)
		v.N, v.M = n, m
		return v
	}
	for name, c := range map[string]struct {
		v    array.Value
		want string
	}{
		"index16, a count too high":             {value(array.Index16, "\x03\x00\x00\x00\x01\x00\x02\x00", 2, 9), "holds 3"},
		"index16, a count too low":              {value(array.Index16, "\x01\x00\x00\x00\x01\x00\x02\x00", 2, 9), "follow the last offset"},
		"index16, offsets descending":           {value(array.Index16, "\x02\x00\x00\x00\x02\x00\x01\x00", 2, 9), "offset 1 after 2"},
		"index16, an offset twice":              {value(array.Index16, "\x02\x00\x00\x00\x01\x00\x01\x00", 2, 9), "offset 1 after 1"},
		"index16, an offset past the run":       {value(array.Index16, "\x01\x00\x00\x00\x09\x00", 1, 9), "offset 9"},
		"index16, an offset past the short run": {value(array.Index16, "\x01\x00\x00\x00\x01\x00\x00\x00\xff\xff\x01\x00", 2, 65537), "run 1: offset 1"},
		"index16, offsets of the other run":     {value(array.Index16, "\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x01\x00", 2, 65537), "run 1 of 1 elements holds 2"},
		"bitmask, more bits than values":        {value(array.Bitmask, "\x07\x00", 2, 9), "names 3 elements"},
		"bitmask, fewer bits than values":       {value(array.Bitmask, "\x01\x00", 2, 9), "names 1 elements"},
		"bitmask, bits past the end":            {value(array.Bitmask, "\x01\x02", 2, 9), "bits after the last element"},
		"nm, offsets descending":                {groups(2, 4, "\x41", 4, 8), "offset 0 after 1"},
		"nm, an offset twice":                   {groups(2, 4, "\x45", 4, 8), "offset 1 after 1"},
		"nm, an offset not below M":             {groups(1, 3, "\x03", 2, 6), "offset 3"},
		"nm, bits past the end":                 {groups(1, 4, "\x10", 2, 8), "bits after the last offset"},
		"nm, an index too long":                 {groups(2, 4, "\x44\x44\x00", 8, 16), "want an index of 2 bytes"},
		"nm, M above 256":                       {groups(1, 512, "\x00\x00", 1, 512), "does not fit"},
		"bits past the end":                     {array.Value{DType: array.Bit, Dims: []int{3}, Values: []byte{8}}, "bits after the last element"},
	} {
		f := small(t)
		f.Levels = append(f.Levels[:1:1], Level{Name: "lie", Tensors: map[string]array.Value{"v": c.v}})
		refused(t, name, unchecked(t, f), c.want)
	}
}

// unchecked writes f without checks.
func unchecked(t testing.TB, f *File) []byte {
	t.Helper()
	p, err := newWriting(f)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.write(&out, p.head.encode()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestMalformedEncoding replaces bytes of a good header, with right checksums.
func TestMalformedEncoding(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown encoding":        {"\xa7bitmask", "\xa7bitmusk", "unknown encoding"},
		"an unknown type":            {"\xa3f32", "\xa3f31", "f31"},
		"an unknown key":             {"\xa4meta", "\xa4mata", `want field "meta", got "mata"`},
		"a key too many":             {"\x8a\xa4meta", "\x8b\xa5flags\x01\xa4meta", "want a map of the 10 fields"},
		"a key twice":                {"\xa6recipe", "\xa5model", `want field "recipe"`},
		"a name twice":               {"\xa8versions\x80", "\xa8versions\x82\xa1a\xa0\xa1a\xa0", "sorted and different"},
		"names unsorted":             {"\xa8versions\x80", "\xa8versions\x82\xa1b\xa0\xa1a\xa0", "sorted and different"},
		"a name in another class":    {"\xa8versions\x80", "\xa8versions\x81\xc4\x01a\xa0", "want a string"},
		"an integer in a long form":  {"\xa4seed\x00", "\xa4seed\xcc\x00", "shortest"},
		"a negative seed":            {"\xa4seed\x00", "\xa4seed\xff", "unsigned"},
		"a seed that is true":        {"\xa4seed\x00", "\xa4seed\xc3", "unsigned"},
		"an extension":               {"\xa4seed\x00", "\xa4seed\xd4\x01\x00", "unsigned"},
		"a time stamp":               {"\xa4seed\x00", "\xa4seed\xd6\xff\x00\x00\x00\x00", "unsigned"},
		"a string in a long form":    {"\xa4tiny", "\xd9\x04tiny", "shortest"},
		"an array in a long form":    {"\xa4code\x91", "\xa4code\xdc\x00\x01", "shortest"},
		"a map in a long form":       {"\xa8versions\x80", "\xa8versions\xdf\x00\x00\x00\x00", "shortest"},
		"a float of 64 bits":         {"\x91\xca\x3f\x00\x00\x00", "\x91\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", "32-bit float"},
		"an integer as a float":      {"\x91\xca\x3f\x00\x00\x00", "\x91\x00", "32-bit float"},
		"nil as a text":              {"\xa4tiny", "\xc0", "want a string"},
		"a text that is not UTF-8":   {"\xa4tiny", "\xa4tin\xff", "UTF-8"},
		"a text of 2³²-1 bytes":      {"\xa4tiny", "\xdb\xff\xff\xff\xff", "limit"},
		"a list of 2³²-1 codes":      {"\xa4code\x91", "\xa4code\xdd\xff\xff\xff\xff", "does not fit"},
		"a map of 2³²-1 versions":    {"\xa8versions\x80", "\xa8versions\xdf\xff\xff\xff\xff", "does not fit"},
		"as many codes as bytes":     {"\xa4code\x91", "\xa4code\xdd\x00\x01\x00\x00" + strings.Repeat("\xc0", 1<<16), "want an array"},
		"nested 10,000 deep":         {"\xa4code\x91", "\xa4code" + strings.Repeat("\x91", 10000), "want an array"},
		"maps nested 10,000 deep":    {"\xa8versions\x80", "\xa8versions" + strings.Repeat("\x81", 10000), "want a string"},
		"bytes after the header":     {"\xa5state", "", ""},
		"a header that is a list":    {"\x8a\xa4meta", "\x9a\xa4meta", "want a map"},
		"a header that is not there": {"\x8a\xa4meta", "\xc1\xa4meta", "want a map"},
	} {
		refused(t, name, resealed(t, small(t), func(head []byte) []byte {
			if bytes.Count(head, []byte(c.old)) == 0 {
				t.Fatalf("%s: the header lacks %q", name, c.old)
			}
			if c.new == "" {
				return append(head, 0xc0)
			}
			return bytes.Replace(head, []byte(c.old), []byte(c.new), 1)
		}), c.want)
	}
}

// TestMalformedPreamble changes bytes before the header and after it.
func TestMalformedPreamble(t *testing.T) {
	good := write(t, small(t))
	r := read(t, good)
	head := preamble // where the header's binary begins
	data := int(r.data)
	with := func(at, length int, bytes string) []byte {
		return []byte(string(good[:at]) + bytes + string(good[at+length:]))
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":                      {nil, "not a checkpoint"},
		"another file":                 {[]byte("PK\x03\x04 and so on, longer than a preamble"), "not a checkpoint"},
		"another version":              {with(5, 1, "\x03"), "version byte 0x03, this software reads versions 1 to 2"},
		"a version in a long form":     {with(5, 1, "\xcc\x01"), "version byte 0xcc"},
		"the name in a long form":      {with(0, 1, "\xd9\x04"), "not a checkpoint"},
		"a checksum of five bytes":     {with(6, 2, "\xc4\x05a"), "want a checksum of 4 bytes"},
		"a checksum that is a string":  {with(6, 2, "\xd9\x04"), "want a checksum of 4 bytes"},
		"a checksum of another header": {with(8, 4, "aaaa"), "checksum of the table of contents"},
		"a header of 2³²-1 bytes":      {with(head, 3, "\xc6\xff\xff\xff\xff"), "the limit is"},
		"a header past the end":        {with(head, 3, "\xc5\xff\xff"), "the file has"},
		"a header in a long form":      {with(head, 1, "\xc6\x00\x00"), "shortest"},
		"bytes after the end":          {append(bytes.Clone(good), "more"...), "its table of contents says"},
		"a byte less":                  {good[:len(good)-1], "its table of contents says"},
		"padding that is not zero":     {with(data-10, 1, "x"), "padding or length"},
		"a chunk of another length":    {with(data-1, 1, "\x01"), "padding or length"},
	} {
		refused(t, name, c.b, c.want)
	}
}

// TestMalformedProportion has a file of eight kilobytes with a tensor that takes much more when
// dense.
func TestMalformedProportion(t *testing.T) {
	refused(t, "an index16 of half a gigabyte", sparse(1<<27).bytes(t), "its tensors take 536870912 bytes dense")
}
