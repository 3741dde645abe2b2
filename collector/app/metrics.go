package app

import "github.com/prometheus/client_golang/prometheus"

// ownMetrics are what the collector as a whole says about itself, read when
// they are asked for.
type ownMetrics struct{ app *App }

func (ownMetrics) lost() *prometheus.Desc {
	return prometheus.NewDesc("sidelight_collector_lost_total", "Things lost or given up, by where and what.", []string{"where", "what"}, nil)
}

func (ownMetrics) traceBytes() *prometheus.Desc {
	return prometheus.NewDesc("sidelight_collector_trace_store_bytes", "Bytes of the span store on disk.", nil, nil)
}

// Describe implements prometheus.Collector.
func (m ownMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.lost()
	ch <- m.traceBytes()
}

// Collect implements prometheus.Collector.
func (m ownMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, l := range m.app.Losses() {
		ch <- prometheus.MustNewConstMetric(m.lost(), prometheus.CounterValue, float64(l.Count), l.Where, l.What)
	}
	ch <- prometheus.MustNewConstMetric(m.traceBytes(), prometheus.GaugeValue, float64(m.app.traces.Stats().Bytes))
}
