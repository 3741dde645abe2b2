package receive

import "github.com/prometheus/client_golang/prometheus"

// ownMetrics counts what arrives and what is turned away.
type ownMetrics struct {
	spans    *prometheus.CounterVec
	refusals *prometheus.CounterVec
	cut      *prometheus.CounterVec

	connections prometheus.Counter // of senders that were not let in
}

func newMetrics(registerer prometheus.Registerer) *ownMetrics {
	m := &ownMetrics{
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_collector_spans_total",
			Help: "Spans received, by protocol and by what became of them: stored, refused, or invalid for lack of IDs.",
		}, []string{"protocol", "result"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_collector_span_requests_refused_total",
			Help: "Requests of OTLP/HTTP and Zipkin refused whole, by status.",
		}, []string{"status"}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_collector_span_parts_cut_total",
			Help: "Parts of spans that were over a limit or not valid, by part: attribute, event, link, text, time.",
		}, []string{"part"}),
	}
	m.connections = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sidelight_collector_span_connections_refused_total",
		Help: "Connections of senders whose certificate was missing or not taken.",
	})
	if registerer != nil {
		registerer.MustRegister(m.spans, m.refusals, m.cut, m.connections)
	}
	return m
}

func (m *ownMetrics) count(protocol string, l losses) {
	if l.rejected > 0 {
		m.spans.WithLabelValues(protocol, "invalid").Add(float64(l.rejected))
	}
	for part, n := range map[string]int{"attribute": l.attributes, "event": l.events, "link": l.links, "text": l.texts, "time": l.times} {
		if n > 0 {
			m.cut.WithLabelValues(part).Add(float64(n))
		}
	}
}
