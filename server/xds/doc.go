// Package xds turns the desired configuration into Envoy v3 resources, one view
// per node, and delivers them: over streams, incremental or state of the
// world, and to those who ask by REST. It also serves the agent stream on which
// sidecars report what they really run, client status (CSDS) for who wants to
// read that, and Envoys' access log service.
//
//	config.Snapshot -> registry -> compile (per namespace, per node) -> view -> ADS, delta or whole
//	agent stream    -> Applied -> tracker; tap batches -> server/tap
//
// The package owns the compiled resources, their content hashes and the
// revision that last changed each, the connected streams and what was sent on
// them. It decides nothing about a node's state: it tells the tracker what
// happened and when.
package xds
