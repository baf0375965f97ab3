// Package repotest has the rules of this repository as tests. CONTRIBUTING.md lists them. The
// package contains no other code.
package repotest
