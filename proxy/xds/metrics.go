package xds

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// metrics are the counts of this package. Results of an update: "accepted" and
// "rejected" when it came, "applied" and "apply_error" when it went to the
// runtime (type "all").
type metrics struct {
	updates    *prometheus.CounterVec
	connected  *prometheus.GaugeVec
	attempts   *prometheus.CounterVec
	lastUpdate prometheus.Gauge
	revision   prometheus.Gauge
	saves      *prometheus.CounterVec
	tapLost    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_updates_total",
			Help: "Configuration responses by resource type and what became of them.",
		}, []string{"type", "result"}),
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidelight_xds_connected",
			Help: "1 while the stream to the control plane is up.",
		}, []string{"stream"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_stream_attempts_total",
			Help: "Streams to the control plane that were opened or tried.",
		}, []string{"stream"}),
		lastUpdate: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidelight_xds_last_update_timestamp_seconds",
			Help: "When the control plane last sent configuration.",
		}),
		revision: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: mesh.MetricConfigRevision,
			Help: "Highest configuration revision that is wholly applied.",
		}),
		saves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_state_saves_total",
			Help: "Writes of the last good configuration to disk by result.",
		}, []string{"result"}),
		tapLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_agent_tap_events_lost_total",
			Help: "Tap events that were under way when the agent stream broke.",
		}),
	}
	m.stream("ads", false)
	m.stream("agent", false)
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.updates, m.connected, m.attempts, m.lastUpdate, m.revision, m.saves, m.tapLost} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register configuration metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) update(kind, result string) { m.updates.WithLabelValues(kind, result).Inc() }

func (m *metrics) heard(at time.Time) { m.lastUpdate.Set(float64(at.UnixMilli()) / 1000) }

func (m *metrics) stream(name string, up bool) {
	value := 0.0
	if up {
		value = 1
	}
	m.connected.WithLabelValues(name).Set(value)
}
