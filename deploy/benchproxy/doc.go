// Command benchproxy measures what the sidecar costs, beside HAProxy, nginx and
// Go's own ReverseProxy, tuned: processor time per request, added latency,
// memory. Run it by `make bench-proxy`, which builds bin/ first and installs
// the peers and the load generators from Debian where they are missing.
//
// All proxies forward to the same server, take turns in every round, and are
// told about by medians over the rounds, so that a busy machine disturbs all
// alike. Processor time is the kernel's account of the proxy's process over the
// requests that were answered. The sidecar runs as users have it: configured by
// `sidelight run`, with metrics, spans and access to tap.
//
// It prints one table a question and then a line a goal: "goal NAME: VALUE
// BOUND met|missed". Load goes to loopback and ends after a bounded time.
package main
