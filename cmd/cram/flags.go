package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// requireFlag returns a usage error unless ok: "--epochs: want 1 or more, got 0".
func requireFlag(ok bool, flag, want string, got any) error {
	if ok {
		return nil
	}
	if text, ok := got.(string); ok {
		got = strconv.Quote(text)
	}
	return usagef("--%s: want %s, got %v", flag, want, got)
}

// atLeast returns a usage error unless the value of a flag is least or more.
func atLeast(least int, flag string, got int) error {
	return requireFlag(got >= least, flag, fmt.Sprintf("%d or more", least), got)
}

// oneOf returns a usage error unless the value of a flag is one of choices.
func oneOf(flag, got string, choices ...string) error {
	for _, c := range choices {
		if c == got {
			return nil
		}
	}
	return requireFlag(false, flag, either(choices), got)
}

// either returns "a, b or c".
func either(choices []string) string {
	last := len(choices) - 1
	return strings.Join(choices[:last], ", ") + " or " + choices[last]
}

// positive and nonNegative are false for NaN and for infinities.
func positive(x float64) bool    { return x > 0 && x <= math.MaxFloat64 }
func nonNegative(x float64) bool { return x >= 0 && x <= math.MaxFloat64 }

// appliesTo returns a usage error if one of the named flags was given and ok is false. Setting is
// the setting to which these flags apply, for example "--method cram or cram+".
func appliesTo(fs *pflag.FlagSet, ok bool, setting string, flags ...string) error {
	for _, name := range flags {
		if !ok && fs.Changed(name) {
			return usagef("--%s applies to %s only", name, setting)
		}
	}
	return nil
}

// wantOf describes the values that a flag accepts, by the type that pflag reports.
var wantOf = map[string]string{
	"bool":         "true or false",
	"duration":     "a duration such as 30s",
	"float32Slice": "numbers separated by commas",
	"float64":      "a number",
	"float64Slice": "numbers separated by commas",
	"int":          "a whole number",
	"intSlice":     "whole numbers separated by commas",
	"uint64":       "a whole number of 0 or more",
}

// flagError returns the error of a flag that pflag cannot parse in the form of [requireFlag].
// Other errors are returned unchanged.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	flag := invalid.GetFlag()
	if want := wantOf[flag.Value.Type()]; want != "" && !errors.Is(err, strconv.ErrRange) {
		return requireFlag(false, flag.Name, want, invalid.GetValue())
	}
	cause := strings.TrimPrefix(invalid.Unwrap().Error(), "compress: ")
	return usagef("--%s: %s", flag.Name, cause)
}
