// Package graph turns what the sidecars counted into the live service graph.
//
// It stands behind the collector, whose edge batches it takes one per scrape,
// and before server/api, which sends its views. Counts land in rings: one
// record a scrape for the last minute and a half, one frame every ten seconds
// for the last hour. A view is a pure function of the rings, of facts from other parts
// (registry, configuration state) and of a query.
//
// What it holds itself to: rates are increments over time really covered;
// quantiles come from merged histograms; the two reporters of an edge are kept
// apart and shown both; an edge with one request in the last hour is an edge;
// what is not known (a target that does not answer) is said, not guessed.
//
// The package does no I/O, has no clock, starts no goroutines and logs nothing.
package graph
