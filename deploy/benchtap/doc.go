// Package benchtap measures tapping from end to end: the sidecars' part and
// the server's, which know each other by their messages only, in one process.
// It holds `make bench-tap` and nothing else.
package benchtap
