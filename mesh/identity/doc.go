// Package identity holds who a process is, a sidecar or a collector: its SPIFFE
// certificate, the roots that it takes peers by, and how both stay fresh.
//
//	authority (join token) | files | SPIFFE Workload API -> Source -> TLS of listeners and clients
//
// The certificate is asked for at each handshake, so a new one is used from the
// next connection on and no open connection notices. A process without a
// certificate refuses handshakes; nothing falls back to plain text here.
//
// The package owns the private key and the state file that keeps it. It decides
// neither who must use TLS (proxy/listen, proxy/cluster) nor who may do what
// (proxy/policy).
package identity
