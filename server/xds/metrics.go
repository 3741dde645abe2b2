package xds

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The stages of a push that this package sees; the others are the tracker's.
const (
	StageCompile = "compile" // a revision, for all nodes
	StageSend    = "send"    // one response: a node that does not read makes it long
)

// metrics counts at the package's border. What istiod counts has its name,
// labels and buckets too, so that its dashboards and alerts hold here.
type metrics struct {
	observe func(stage string, took time.Duration)

	pushes  *prometheus.CounterVec
	rejects *prometheus.CounterVec
	refused *prometheus.CounterVec
	nodes   prometheus.Gauge
	agents  prometheus.Gauge
	dropped prometheus.Counter
	logged  *prometheus.CounterVec

	pilot pilotMetrics
}

// pilotMetrics are istiod's.
type pilotMetrics struct {
	pushes      *prometheus.CounterVec
	rejects     *prometheus.CounterVec
	expired     *prometheus.CounterVec
	triggers    *prometheus.CounterVec
	sizes       *prometheus.HistogramVec
	pushTime    *prometheus.HistogramVec
	sendTime    prometheus.Histogram
	convergence prometheus.Histogram
	queueTime   prometheus.Histogram
}

// pilotTypes are istiod's names of the resource types.
var pilotTypes = [typeCount]string{clusterType: "cds", endpointType: "eds", listenerType: "lds", routeType: "rds"}

func newMetrics(reg prometheus.Registerer, observe func(string, time.Duration)) *metrics {
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	}
	histograms := func(name, help string, buckets ...float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"type"})
	}
	m := &metrics{
		observe: observe,
		pushes:  counters("sidelight_xds_pushes_total", "Configuration responses sent.", "type"),
		rejects: counters("sidelight_config_rejections_total", "Configuration responses that a node refused.", "type"),
		refused: counters("sidelight_xds_refused_total", "Streams, nodes and agents turned away.", "reason"),
		nodes:   gauge("sidelight_xds_connected_nodes", "Nodes with a configuration stream."),
		logged:  counters("sidelight_xds_access_log_entries_total", "Access log entries that Envoys sent.", "protocol"),
		agents:  gauge("sidelight_xds_agent_streams", "Sidecars with an agent stream."),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_xds_agent_messages_dropped_total", Help: "Messages to sidecars that were dropped because their queue was full.",
		}),
		pilot: pilotMetrics{
			pushes:      counters("pilot_xds_pushes", "Pilot build and send errors for lds, rds, cds and eds.", "type"),
			rejects:     counters("pilot_total_xds_rejects", "Total number of XDS responses from pilot rejected by proxy.", "type"),
			expired:     counters("pilot_xds_expired_nonce", "Total number of XDS requests with an expired nonce.", "type"),
			triggers:    counters("pilot_push_triggers", "Total number of times a push was triggered, labeled by reason for the push.", "type"),
			sizes:       histograms("pilot_xds_config_size_bytes", "Distribution of configuration sizes pushed to clients.", 1, 10000, 1000000, 4000000, 10000000, 40000000),
			pushTime:    histograms("pilot_xds_push_time", "Total time in seconds Pilot takes to push lds, rds, cds and eds.", .01, .1, .5, 1, 3, 5, 10, 20, 30),
			sendTime:    histogram("pilot_xds_send_time", "Total time in seconds Pilot takes to send generated configuration.", .01, .1, 1, 3, 5, 10, 20, 30),
			convergence: histogram("pilot_proxy_convergence_time", "Delay in seconds between config change and a proxy receiving all required configuration.", .1, .5, 1, 3, 5, 10, 20, 30),
			queueTime:   histogram("pilot_proxy_queue_time", "Time in seconds, a proxy is in the push queue before being dequeued.", .1, .5, 1, 3, 5, 10, 20, 30),
		},
	}
	if m.observe == nil {
		m.observe = func(string, time.Duration) {}
	}
	if reg != nil {
		reg.MustRegister(m.pushes, m.rejects, m.refused, m.nodes, m.agents, m.dropped, m.logged,
			m.pilot.pushes, m.pilot.rejects, m.pilot.expired, m.pilot.triggers, m.pilot.sizes, m.pilot.pushTime,
			m.pilot.sendTime, m.pilot.convergence, m.pilot.queueTime)
	}
	return m
}

// sent counts a response that left, or did not. A node that does not read stops
// its stream's Send, so that a slow node shows here, and a slow control plane
// shows before.
func (m *metrics) sent(t int, err error, made, accepted, start, end time.Time) {
	typ := pilotTypes[t]
	if err != nil {
		m.pilot.pushes.WithLabelValues(typ + "_senderr").Inc()
		return
	}
	m.observe(StageSend, end.Sub(start))
	m.pilot.sendTime.Observe(end.Sub(start).Seconds())
	m.pilot.pushTime.WithLabelValues(typ).Observe(end.Sub(made).Seconds())
	m.pilot.pushes.WithLabelValues(typ).Inc()
	if !accepted.IsZero() {
		m.pilot.queueTime.Observe(start.Sub(made).Seconds())
		m.pilot.convergence.Observe(end.Sub(accepted).Seconds())
	}
}
