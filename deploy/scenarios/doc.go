// Package scenarios plays configuration that users of Istio bring, unmodified,
// on real processes: `sidelight run`, a sidecar for each instance that has one,
// and small services in the test itself, which know best what reached them.
//
// Each scenario applies one file of testdata as a user would, by `sidelight
// config apply -f`, drives requests through the caller's sidecar, and holds what
// must be seen against the backends, the caller, the metrics, the traces, the
// tap and the graph. It prints one line, passed or failed.
//
// SIDELIGHT_BIN names the folder of the binaries; without it the package is
// skipped. SIDELIGHT_SLOW=1 also waits out the circuit breaker's minute.
package scenarios
