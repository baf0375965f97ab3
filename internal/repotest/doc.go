// Package repotest holds the rules of this repository as tests: which package may import which
// (docs/architecture.md), and that every package explains itself. It has no code of its own.
package repotest
