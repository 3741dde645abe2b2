package app

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

// maxNodeSeries bounds the nodes that have series of their own; those in the
// worst state come first, and how many were left out is a series too.
const maxNodeSeries = 2000

// stageMetrics are how long configuration takes on its way: where a push is
// slow says whether the control plane or the node is.
type stageMetrics struct {
	stages    *prometheus.HistogramVec
	converged prometheus.Histogram
}

func newStageMetrics(reg prometheus.Registerer) *stageMetrics {
	m := &stageMetrics{
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sidelight_config_push_stage_seconds",
			Help:    "Time that configuration spent in a stage: compile (a revision, for all nodes), queue (prepared to sent), send (one response), ack (sent to acknowledged), apply (acknowledged to run).",
			Buckets: []float64{.001, .005, .01, .05, .1, .5, 1, 2, 5, 10, 30},
		}, []string{"stage"}),
		converged: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sidelight_config_convergence_seconds",
			Help:    "Time from the acceptance of a revision until all connected nodes ran it.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 5, 10, 20, 30, 60, 300},
		}),
	}
	reg.MustRegister(m.stages, m.converged)
	return m
}

func (m *stageMetrics) observe(stage string, took time.Duration) {
	if stage == skew.StageConverged {
		m.converged.Observe(took.Seconds())
		return
	}
	m.stages.WithLabelValues(stage).Observe(took.Seconds())
}

// syncMetrics tell the configuration state of the nodes when they are asked
// for, in our names and, as far as they say the same, in istiod's.
type syncMetrics struct{ app *App }

func (syncMetrics) descs() map[string]*prometheus.Desc {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	node := []string{"node", "namespace", "workload"}
	return map[string]*prometheus.Desc{
		"nodes":       d("sidelight_config_nodes", "Nodes by configuration state.", "state"),
		"state":       d("sidelight_config_node_state", "1 for the configuration state that a node is in.", append(node, "state")...),
		"since":       d("sidelight_config_node_state_start_timestamp_seconds", "Since when a node is in its state.", node...),
		"revision":    d("sidelight_config_node_revision", "Newest revision that a node wholly runs; 0 none.", node...),
		"left":        d("sidelight_config_nodes_without_series", "Nodes that have no series of their own because there are too many."),
		"desired":     d("sidelight_config_desired_revision", "Newest revision of the desired configuration."),
		"unconverged": d("sidelight_config_unconverged_seconds", "Age of the oldest revision that not every connected node runs; 0 when all run all."),

		"pilot_xds":      d("pilot_xds", "Number of endpoints connected to this pilot using XDS.", "version"),
		"pilot_info":     d("pilot_info", "Pilot version and build information.", "version"),
		"pilot_services": d("pilot_services", "Total services known to pilot."),
		"pilot_virt":     d("pilot_virt_services", "Total virtual services known to pilot."),
	}
}

// Describe implements prometheus.Collector.
func (m syncMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m syncMetrics) Collect(ch chan<- prometheus.Metric) {
	d := m.descs()
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d[name], prometheus.GaugeValue, v, labels...)
	}
	now := time.Now()
	view := m.app.tracker.View(now)
	for _, s := range skew.States() {
		gauge("nodes", float64(view.Summary.ByState[s]), string(s))
	}
	connected := 0
	for i := range view.Nodes {
		n := &view.Nodes[i]
		if n.Connected {
			connected++
		}
		if i >= maxNodeSeries {
			continue
		}
		of := []string{n.ID, n.Workload.Namespace, n.Workload.Name}
		gauge("state", 1, append(of, string(n.State))...)
		gauge("since", float64(n.Since.UnixMilli())/1000, of...)
		gauge("revision", float64(n.Revision), of...)
	}
	gauge("left", float64(max(len(view.Nodes)-maxNodeSeries, 0)))
	unconverged := 0.0
	if !view.UnconvergedSince.IsZero() {
		unconverged = max(now.Sub(view.UnconvergedSince).Seconds(), 0)
	}
	gauge("unconverged", unconverged)
	if view.Desired != nil {
		gauge("desired", float64(view.Desired.Number))
	}
	m.pilot(gauge, connected)
}

func (m syncMetrics) pilot(gauge func(string, float64, ...string), connected int) {
	version := cmp.Or(m.app.opts.Version, "unknown")
	gauge("pilot_xds", float64(connected), version)
	gauge("pilot_info", 1, version)
	if reg := m.app.registry.Load(); reg != nil {
		gauge("pilot_services", float64(len(reg.Services())))
	}
	virtual := 0
	for _, o := range m.app.store.Objects() {
		if o.VirtualService() != nil {
			virtual++
		}
	}
	gauge("pilot_virt", float64(virtual))
}
