package app

import "github.com/prometheus/client_golang/prometheus"

// ownMetrics reads the parts' own counts when they are asked for.
type ownMetrics struct{ app *App }

func (ownMetrics) descs() map[string]*prometheus.Desc {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sidelight_server_"+name, help, labels, nil)
	}
	return map[string]*prometheus.Desc{
		"batches":  d("edge_batches_total", "Scrapes whose changes the graph took."),
		"repeated": d("edge_batches_repeated_total", "Scrapes that came again, or by a second collector, and were not counted."),
		"setback":  d("edge_clock_set_back_total", "Times that the graph began anew because the collector's clock was set back."),
		"edges":    d("graph_edges", "Distinct edges that the graph holds."),
		"sockets":  d("live_sockets", "Open live sockets."),
		"topics":   d("live_views", "Distinct views that are computed for them."),
		"frames":   d("live_frames_lost_total", "State frames that slow clients did not get."),
		"stalled":  d("live_stalled_total", "Live sockets closed because their client did not read."),
		"sessions": d("tap_sessions", "Open tap sessions."),
		"events":   d("tap_events_total", "Tap events taken from sidecars."),
		"lost":     d("lost_total", "Things lost, by where and what.", "where", "what"),
	}
}

// Describe implements prometheus.Collector.
func (m ownMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m ownMetrics) Collect(ch chan<- prometheus.Metric) {
	d := m.descs()
	send := func(name string, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d[name], kind, v, labels...)
	}
	traffic, live, taps := m.app.engine.Stats(), m.app.api.LiveStats(), m.app.tap.Stats()
	send("batches", prometheus.CounterValue, float64(traffic.Batches))
	send("repeated", prometheus.CounterValue, float64(traffic.Repeated))
	send("setback", prometheus.CounterValue, float64(traffic.SetBack))
	send("edges", prometheus.GaugeValue, float64(traffic.Edges))
	send("sockets", prometheus.GaugeValue, float64(live.Sockets))
	send("topics", prometheus.GaugeValue, float64(live.Topics))
	send("frames", prometheus.CounterValue, float64(live.LostFrames))
	send("stalled", prometheus.CounterValue, float64(live.Stalled))
	send("sessions", prometheus.GaugeValue, float64(taps.Sessions))
	send("events", prometheus.CounterValue, float64(taps.Events))
	for _, l := range (overall{m.app}).losses() {
		send("lost", prometheus.CounterValue, float64(l.Count), l.Where, l.What)
	}
}
