// Package mesh holds the nouns that every part of Sidelight speaks: workloads,
// services, nodes, edges, revisions, tap events, response flags and metric
// names. It is the shared vocabulary of the sidecar, the collector, the server
// and the command line, and of the HTTP API, whose JSON is these types'.
//
// The package imports the standard library only, owns no state and does no
// I/O. Whatever needs a third-party type stands in the part that uses it.
package mesh
