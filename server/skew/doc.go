// Package skew knows which configuration every node should run, was sent,
// acknowledged and really runs, since when, and why where these differ.
//
// It stands behind server/xds, which reports each event with its time, and
// before server/api, which shows the views. Skew is computed on content hashes
// of single resources, never on push counters: two healthy nodes may rightly
// have been sent different pushes. A node is synced when, for every resource
// that it needs, what it says it runs is what is desired.
//
// The package is pure: no I/O, no clock, no goroutines, no logging. All times
// come with the calls, and the same calls give the same views.
package skew
