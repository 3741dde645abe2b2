package xds

import "github.com/prometheus/client_golang/prometheus"

// metrics counts at the package's border.
type metrics struct {
	pushes   *prometheus.CounterVec
	rejects  *prometheus.CounterVec
	refused  *prometheus.CounterVec
	nodes    prometheus.Gauge
	agents   prometheus.Gauge
	compile  prometheus.Histogram
	pushTime prometheus.Histogram
	dropped  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	// Istio's buckets for the same things, with finer ones below.
	buckets := []float64{.001, .005, .01, .05, .1, .5, 1, 3, 5, 10, 30}
	m := &metrics{
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_pushes_total", Help: "Configuration responses sent.",
		}, []string{"type"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_rejects_total", Help: "Configuration responses that a node refused.",
		}, []string{"type"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_xds_refused_total", Help: "Streams, nodes and agents turned away, and responses put off because a queue was full.",
		}, []string{"reason"}),
		nodes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidelight_xds_connected_nodes", Help: "Nodes with a configuration stream.",
		}),
		agents: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidelight_xds_agent_streams", Help: "Sidecars with an agent stream.",
		}),
		compile: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sidelight_xds_compile_seconds", Help: "Time to compile a revision for all nodes.", Buckets: buckets,
		}),
		pushTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sidelight_xds_push_seconds", Help: "Time from a revision's acceptance to each response that carries it.", Buckets: buckets,
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_xds_agent_messages_dropped_total", Help: "Messages to sidecars that were dropped because their queue was full.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.pushes, m.rejects, m.refused, m.nodes, m.agents, m.compile, m.pushTime, m.dropped)
	}
	return m
}
