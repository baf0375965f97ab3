package compress

import (
	"fmt"
	"strconv"
	"strings"
)

// Syntax is a list of the text names that [Parse] reads, for help texts. SPARSITY stands for a
// decimal number from 0 to 1, N, M and SIZE for whole numbers.
const Syntax = "dense, topk:SPARSITY, uniform:SPARSITY, nm:N:M, blockSIZE:SPARSITY, " +
	"only(PATTERN,…):COMPRESSOR or except(PATTERN,…):COMPRESSOR"

// maxName limits the length of a text name in bytes, because names are read from untrusted files.
const maxName = 4096

// Parse returns the built-in compressor of a text name. It is the inverse of [Compressor].String:
//
//	dense                                       Identity{}
//	topk:0.9                                    TopK(0.9)
//	uniform:0.8                                 Uniform(0.8)
//	nm:2:4                                      NM{2, 4}
//	block4:0.8                                  Block{Size: 4, Sparsity: 0.8}
//	only(layer*.conv*.weight):topk:0.9          Only(TopK(0.9), "layer*.conv*.weight")
//	except(conv1.weight,fc.weight):nm:2:4       Except(NM{2, 4}, "conv1.weight", "fc.weight")
//
// Parse accepts several spellings of a number (".90"); String writes one ("0.9"). The error for any
// other text quotes it and states what is wanted.
func Parse(s string) (Compressor, error) {
	if len(s) > maxName {
		return nil, fmt.Errorf("compress: want a name of at most %d bytes, got %d", maxName, len(s))
	}
	c, err := parse(s)
	if err != nil {
		return nil, fmt.Errorf("compress: %q: %w", s, err)
	}
	return c, nil
}

func parse(s string) (Compressor, error) {
	if word, rest, ok := strings.Cut(s, "("); ok && (word == "only" || word == "except") {
		return parseSelection(word, rest)
	}
	name, args, _ := strings.Cut(s, ":")
	size, isBlock := strings.CutPrefix(name, "block")
	var c masker
	var err error
	switch {
	case s == "dense":
		return Identity{}, nil
	case name == "topk":
		c, err = parseSparse(args, func(p float64) masker { return TopK(p) })
	case name == "uniform":
		c, err = parseSparse(args, func(p float64) masker { return Uniform(p) })
	case name == "nm":
		c, err = parseNM(args)
	case isBlock:
		c, err = parseBlock(size, args)
	default:
		return nil, fmt.Errorf("unknown compressor; want %s", Syntax)
	}
	if err == nil {
		err = fault(c)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func parseSparse(arg string, compressor func(p float64) masker) (masker, error) {
	p, err := parseNumber(arg)
	return compressor(p), err
}

func parseNM(args string) (masker, error) {
	n, m, _ := strings.Cut(args, ":")
	c, err := NM{}, error(nil)
	if c.N, err = parseCount(n); err == nil {
		c.M, err = parseCount(m)
	}
	return c, err
}

func parseBlock(size, sparsity string) (masker, error) {
	c, err := Block{}, error(nil)
	if c.Size, err = parseCount(size); err == nil {
		c.Sparsity, err = parseNumber(sparsity)
	}
	return c, err
}

func parseSelection(word, rest string) (Compressor, error) {
	list, inner, ok := strings.Cut(rest, "):")
	if !ok {
		return nil, fmt.Errorf("want %s(PATTERN,…):COMPRESSOR", word)
	}
	c, err := parse(inner)
	if err != nil {
		return nil, err
	}
	s := selection{word, strings.Split(list, ","), c}
	if err := s.fault(); err != nil {
		return nil, err
	}
	return newSelection(word, c, s.patterns), nil
}

// number formats a sparsity: decimal, without exponent, with as few digits as identify it.
func number(p float64) string { return strconv.FormatFloat(p+0, 'f', -1, 64) } // −0 + 0 is 0

func parseNumber(s string) (float64, error) {
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.") != "" {
		return 0, fmt.Errorf("want a decimal number from 0 to 1, as in topk:0.9, got %q", s)
	}
	return p, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("want a whole number from 1 up, as in nm:2:4 or block4:0.8, got %q", s)
	}
	return n, nil
}
