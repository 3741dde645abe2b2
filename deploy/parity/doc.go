// Package parity holds readings of the same configuration against each other
// where the parts may not share code: what the server explains of a request
// (server/explain) and what a sidecar does with it (proxy/xds, proxy/route,
// proxy/policy).
package parity
