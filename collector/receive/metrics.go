package receive

import "github.com/prometheus/client_golang/prometheus"

// ownMetrics counts what arrives and what is turned away.
type ownMetrics struct {
	spans    *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *ownMetrics {
	m := &ownMetrics{
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_collector_spans_total",
			Help: "Spans received, by protocol and by whether they were stored.",
		}, []string{"protocol", "result"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_collector_span_requests_refused_total",
			Help: "OTLP/HTTP requests refused whole, by status.",
		}, []string{"status"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.spans, m.refusals)
	}
	return m
}
