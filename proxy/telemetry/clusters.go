package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// Clusters is where the levels of clusters are read from.
type Clusters interface {
	Upstreams() []*forward.Upstream
	MirrorsDropped() uint64
	Lookups() (all, failed uint64)
}

// RegisterClusters shows the levels of clusters. They are read when somebody
// scrapes, and cost requests nothing. A cluster without a limit or without
// outlier detection has no such series: there is nothing to be seen.
func RegisterClusters(reg prometheus.Registerer, c Clusters) error {
	if err := reg.Register(clusterLevels{c}); err != nil {
		return fmt.Errorf("register cluster metrics: %w", err)
	}
	return nil
}

type clusterLevels struct{ clusters Clusters }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe sends nothing: which series there are depends on the configuration.
func (c clusterLevels) Describe(chan<- *prometheus.Desc) {}

// Collect reads the levels.
func (c clusterLevels) Collect(out chan<- prometheus.Metric) {
	ejected := desc(mesh.MetricEjectionsActive, "Endpoints that outlier detection has taken out.", mesh.LabelCluster)
	ejections := desc(mesh.MetricEjections, "Ejections by outlier detection.", mesh.LabelCluster)
	open := desc(mesh.MetricBreakerOpen, "1 while a limit of the cluster is reached.", mesh.LabelCluster, mesh.LabelBreaker)
	inUse := desc(mesh.MetricBreakerInUse, "How much of a limit of the cluster is taken.", mesh.LabelCluster, mesh.LabelBreaker)
	limit := desc(mesh.MetricBreakerLimit, "A limit of the cluster.", mesh.LabelCluster, mesh.LabelBreaker)
	active := desc(mesh.MetricUpstreamRequestsActive, "Tries under way.", mesh.LabelCluster)
	pending := desc(mesh.MetricUpstreamRequestsPending, "Tries that wait for a connection.", mesh.LabelCluster)
	dropped := desc(mesh.MetricMirrorsDropped, "Mirrored requests that were not sent.")
	lookups := desc(mesh.MetricDNSLookups, "Lookups of names in DNS clusters. One that failed changes nothing.", "result")
	put := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	put(dropped, prometheus.CounterValue, float64(c.clusters.MirrorsDropped()))
	if all, failed := c.clusters.Lookups(); all > 0 {
		put(lookups, prometheus.CounterValue, float64(all-failed), "ok")
		put(lookups, prometheus.CounterValue, float64(failed), "failed")
	}
	for _, u := range c.clusters.Upstreams() {
		config, levels := u.Config(), u.Levels()
		limits := &config.Limits
		if config.Outlier != nil || *limits != (cluster.Limits{}) {
			put(active, prometheus.GaugeValue, float64(levels.Requests), config.Name)
		}
		if config.Outlier != nil {
			put(ejected, prometheus.GaugeValue, float64(levels.Ejected), config.Name)
			put(ejections, prometheus.CounterValue, float64(levels.Ejections), config.Name)
		}
		if limits.MaxPending > 0 {
			put(pending, prometheus.GaugeValue, float64(levels.Pending), config.Name)
		}
		for _, b := range []struct {
			name       string
			level, top int
		}{
			{"connections", levels.Connections, int(limits.MaxConnections)},
			{"pending", levels.Pending, int(limits.MaxPending)},
			{"requests", levels.Requests, int(limits.MaxRequests)},
			{"retries", levels.Retries, int(limits.MaxRetries)},
		} {
			if b.top == 0 {
				continue
			}
			value := 0.0
			if b.level >= b.top {
				value = 1
			}
			put(open, prometheus.GaugeValue, value, config.Name, b.name)
			put(inUse, prometheus.GaugeValue, float64(b.level), config.Name, b.name)
			put(limit, prometheus.GaugeValue, float64(b.top), config.Name, b.name)
		}
	}
}
