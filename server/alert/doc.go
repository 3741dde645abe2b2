// Package alert evaluates alerting rules over the embedded metric store, keeps
// what fires and what fired, and tells receivers: Alertmanagers over API v2,
// and webhooks in Alertmanager's own format.
//
// The rules are Prometheus' and its engine evaluates them, beside the store
// (collector/store/metrics). This package owns the files, the memory of alerts
// and the delivery. Every queue is bounded, and each notification that is lost
// is counted. It never decides what is wrong with a mesh: rules do.
package alert
