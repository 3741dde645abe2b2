package tap

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	sessions prometheus.Gauge
	events   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidelight_tap_sessions",
			Help: "Tap sessions that run at this sidecar.",
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_tap_events_total",
			Help: "Exchanges that tap filters matched, and what became of them.",
		}, []string{"result"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.sessions, m.events} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register tap metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) add(result string, n int) {
	if n > 0 {
		m.events.WithLabelValues(result).Add(float64(n))
	}
}
