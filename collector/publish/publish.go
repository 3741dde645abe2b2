// Package publish brings edge batches from the collector to whoever builds the
// graph: a function call inside one process, a gRPC stream to a server in
// another. It comes after package scrape and knows nothing of scraping.
//
// Publishing never blocks the scrape that it follows: for a server that is away
// batches wait, in memory and then on disk (package spool); when there is no
// room, the oldest goes and is counted.
package publish

import "github.com/sidelight-mesh/sidelight/mesh"

// Publisher takes edge batches. Publish returns at once, is safe for
// concurrent use, and owns the batch from then on.
type Publisher interface {
	Publish(mesh.EdgeBatch)
}

// Func makes a Publisher of a function in the same process.
type Func func(mesh.EdgeBatch)

// Publish implements Publisher.
func (f Func) Publish(b mesh.EdgeBatch) { f(b) }
