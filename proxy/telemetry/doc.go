// Package telemetry turns finished exchanges into what the outside reads:
// Prometheus metrics under Istio's names, spans over OTLP, access log lines.
//
// Its three parts are observers of proxy/forward and proxy/tcp. None of them
// ever makes a request wait: metrics are atomics that are looked up once per
// edge, spans and log lines go through bounded queues whose losses are counted.
package telemetry
