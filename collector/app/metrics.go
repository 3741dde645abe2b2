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

func (ownMetrics) waiting() *prometheus.Desc {
	return prometheus.NewDesc("sidelight_collector_edges_waiting_bytes", "Bytes of edge batches that the server has not taken yet.", nil, nil)
}

func (ownMetrics) certificateEnds() *prometheus.Desc {
	return prometheus.NewDesc("sidelight_collector_certificate_expiry_timestamp_seconds",
		"When the collector's certificate ends, 0 while it has none; not there when it was not told where to get one.", nil, nil)
}

func (ownMetrics) certificateFailing() *prometheus.Desc {
	return prometheus.NewDesc("sidelight_collector_certificate_failing_timestamp_seconds",
		"Since when the collector tries in vain to get a certificate, by why the last try failed; not there while none fails.", []string{"reason"}, nil)
}

// Describe implements prometheus.Collector.
func (m ownMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lost(), m.traceBytes(), m.waiting(), m.certificateEnds(), m.certificateFailing()} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m ownMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, l := range m.app.Losses() {
		ch <- prometheus.MustNewConstMetric(m.lost(), prometheus.CounterValue, float64(l.Count), l.Where, l.What)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(m.traceBytes(), float64(m.app.traces.Stats().Bytes))
	if r, ok := m.app.opts.Publish.(remote); ok {
		gauge(m.waiting(), float64(r.Stats().WaitingBytes))
	}
	if own := m.app.opts.Identity; own != nil {
		ends := int64(0)
		if c := own.Current(); c != nil {
			ends = c.NotAfter().Unix()
		}
		gauge(m.certificateEnds(), float64(ends))
		if f := own.Failure(); f != nil {
			gauge(m.certificateFailing(), float64(f.Since.Unix()), string(f.Reason))
		}
	}
}
