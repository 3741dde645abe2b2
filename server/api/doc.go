// Package api is what the server says over HTTP: the versioned JSON API, the
// live socket, the Prometheus and Jaeger APIs that other tools read, and the
// UI. Every route stands in routes.go.
//
// A handler parses, asks and writes; what an answer means is decided in the
// packages that own it (server/graph, skew, config, tap, trace). Errors carry
// one of mesh's kinds, and one table (errors.go) maps kinds to statuses.
// Unknown parameters are refused, never ignored. The package keeps no state of
// its own but the open sockets.
package api
