// Package live is the socket behind /api/v1/live: state channels whose views
// are computed once a second however many look, and event channels whose
// losses are counted.
//
// A state channel's view is a topic: one for each distinct query, shared by
// all its subscribers. A subscriber gets a snapshot, then deltas; it may resume
// from deltas that are up to two minutes old. A client that is too slow for
// deltas gets the newest snapshot when it is ready for it, and is told how many
// frames it lost. Nothing that a client does or leaves undone makes another
// one wait: topics never wait for sockets.
//
// The package knows frames, not their contents: server/api tells it what the
// channels are.
package live
