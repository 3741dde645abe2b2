// Package cluster knows what a sidecar may forward to: clusters, their
// endpoints, and which endpoint the next request goes to.
//
// It stands between proxy/route, which names a cluster, and proxy/forward and
// proxy/tcp, which open connections. It is pure: no I/O, no clock, and
// randomness comes from the caller. A host's counters (active requests) are
// atomics, because every request touches them.
package cluster
