// Package forward is the sidecar's HTTP engine: it takes a request that
// net/http has decoded, asks proxy/route where it goes and proxy/cluster who
// serves it, tries, tries again when the route says so, answers, and tells the
// observers how it ended.
//
// It owns the upstream connections. It knows no xDS, no metrics library and no
// tracing library: proxy/xds hands it snapshots, proxy/telemetry and proxy/tap
// are observers.
package forward
