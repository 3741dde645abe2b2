// Package benchingest measures what taking samples costs, beside Prometheus:
// both real processes scrape the same targets in the same run. It holds `make
// bench-ingest` and nothing else.
package benchingest
