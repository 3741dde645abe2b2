// Package peers holds real sidecar processes against what others wrote: gRPC's
// own interoperability tests, go-control-plane's server, curl, wrk, h2load,
// gorilla's WebSockets, Prometheus; and against faults, signals and restarts. It
// has tests only. The programs come from Debian, by deploy/install-for-tests;
// SIDELIGHT_BIN names the folder of a sidelight-proxy that is built already.
package peers
