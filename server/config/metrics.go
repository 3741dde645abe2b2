package config

import "github.com/prometheus/client_golang/prometheus"

// metrics counts at the package's border.
type metrics struct {
	revision prometheus.Gauge
	objects  *prometheus.GaugeVec
	problems *prometheus.GaugeVec
	loads    prometheus.Counter
	changes  *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		revision: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidelight_config_revision", Help: "Number of the desired configuration's revision.",
		}),
		objects: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidelight_config_objects", Help: "Configuration objects in effect.",
		}, []string{"kind"}),
		problems: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidelight_config_problems", Help: "What is wrong in the configuration directory now.",
		}, []string{"severity"}),
		loads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_config_loads_total", Help: "Readings of the configuration directory.",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_config_api_changes_total", Help: "Changes asked for by the API.",
		}, []string{"result"}),
	}
	if reg != nil {
		reg.MustRegister(m.revision, m.objects, m.problems, m.loads, m.changes)
	}
	return m
}

func (m *metrics) state(s Snapshot) {
	m.revision.Set(float64(s.Revision.Number))
	counts := map[string]int{}
	for _, o := range s.Objects {
		counts[o.Kind]++
	}
	for _, k := range Kinds() {
		m.objects.WithLabelValues(k).Set(float64(counts[k]))
	}
	errors := 0
	for _, p := range s.Problems {
		if p.Severity == SeverityError {
			errors++
		}
	}
	m.problems.WithLabelValues(string(SeverityError)).Set(float64(errors))
	m.problems.WithLabelValues(string(SeverityWarning)).Set(float64(len(s.Problems) - errors))
}
