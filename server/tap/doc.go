// Package tap runs tap sessions: what requests look like, right now, as the
// sidecars see them end. A viewer's filter goes down to every sidecar over the
// agent stream, matching events come up the same way, and each viewer gets
// them through a bounded queue of its own.
//
// The package owns the sessions, their limits and their ledger. The ledger is
// the promise of this package: every event that a sidecar matched is either
// delivered or counted under the one place that lost it. It stands between
// server/xds, whose agent streams it uses through the Agents port, and
// server/api, which gives viewers a socket. It decides
// what matches for Envoys only, which cannot (sidecars do it themselves, see
// mesh/expr), and never stores an event.
package tap
