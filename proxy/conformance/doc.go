// Package conformance holds the sidecar to HTTP. It has tests only.
//
// The differential suite sends the field's known hard messages (framing,
// smuggling, pipelining, trailers, interim answers, upgrades, half-close) byte
// by byte, in both directions, once to net/http itself and once through a
// sidecar. What net/http refuses, the sidecar must refuse with nothing sent on;
// what it takes must arrive behind the sidecar as the same request, and the
// same number of requests; and a connection that goes on must go on in step.
// An engine of our own for a subset of HTTP/1 has to pass it unchanged.
//
// The abuse suite is HTTP/2: floods of resets, CONTINUATION, settings and
// pings, header bombs, windows that never open. A sidecar must answer others
// meanwhile, in bounded memory.
package conformance
