package telemetry

import (
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Node is what the node metrics tell; the functions are asked at each scrape.
type Node struct {
	ID        string
	Workload  mesh.Workload
	Build     string
	StartedAt time.Time
	Revision  func() uint64 // applied configuration revision
	Sockets   func() listen.Counts
	Requests  func() int64 // under way
}

// nodeCollector gives the metrics that are levels or counted elsewhere.
type nodeCollector struct {
	node Node

	memory, heap                                    *prometheus.Desc
	info, build, uptime                             *prometheus.Desc
	accepted, active, refused, insecure, unread, rq *prometheus.Desc
}

// RegisterNode registers the metrics about the sidecar itself, but for the
// revision as a value, which proxy/xds counts.
func RegisterNode(reg prometheus.Registerer, n Node) error {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return reg.Register(&nodeCollector{
		node: n,
		info: desc(mesh.MetricNodeInfo, "1, with who this sidecar is and what it runs.",
			"node", "workload", "namespace", "build", "revision"),
		build:    desc(mesh.MetricBuild, "1, with the version.", "component", "tag"),
		uptime:   desc("envoy_server_uptime", "Seconds since the start."),
		memory:   desc("envoy_server_memory_allocated", "Bytes in use on the heap, under Envoy's name."),
		heap:     desc("envoy_server_memory_heap_size", "Bytes that the heap holds, under Envoy's name."),
		accepted: desc("sidelight_downstream_connections_accepted_total", "Connections accepted."),
		active:   desc("sidelight_downstream_connections_active", "Connections open now."),
		refused: desc("sidelight_downstream_connections_refused_total",
			"Connections closed at once: over the limit, or nothing configured."),
		insecure: desc("sidelight_downstream_connections_insecure_total",
			"Connections closed because they did not fit the listener's TLS mode: plain text under STRICT, or a handshake that failed."),
		unread: desc("sidelight_downstream_unreadable_requests_total", "Requests that could not be read."),
		rq:     desc("sidelight_downstream_requests_active", "Requests under way."),
	})
}

// Describe is part of prometheus.Collector.
func (c *nodeCollector) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, out) }

// Collect is part of prometheus.Collector.
func (c *nodeCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	n := c.node
	rev, sockets := n.Revision(), n.Sockets()
	gauge(c.info, 1, n.ID, n.Workload.Name, n.Workload.Namespace, n.Build, strconv.FormatUint(rev, 10))
	gauge(c.build, 1, "proxy", n.Build)
	gauge(c.uptime, time.Since(n.StartedAt).Seconds())
	used := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(used)
	gauge(c.memory, float64(used[0].Value.Uint64()))
	gauge(c.heap, float64(used[0].Value.Uint64()+used[1].Value.Uint64()+used[2].Value.Uint64()))
	count(c.accepted, sockets.Accepted)
	gauge(c.active, float64(sockets.Active))
	count(c.refused, sockets.Refused)
	count(c.unread, sockets.Broken)
	count(c.insecure, sockets.Insecure)
	gauge(c.rq, float64(n.Requests()))
}

// Certificate is what is told of a sidecar's certificate, in Unix seconds: 0 for
// what there is not.
type Certificate struct {
	Received, Ends int64
	Failing        int64 // since then no newer one could be had
	Reason         string
}

// certificateCollector tells of the certificate when it is asked.
type certificateCollector struct {
	current                 func() Certificate
	received, ends, failing *prometheus.Desc
}

// RegisterCertificate registers when the sidecar's certificate came, when it ends,
// and since when there should be another. A sidecar that was not told where to get
// one has none of these.
func RegisterCertificate(reg prometheus.Registerer, current func() Certificate) error {
	return reg.Register(&certificateCollector{
		current:  current,
		ends:     prometheus.NewDesc(mesh.MetricCertificateExpiry, "When the sidecar's certificate ends, 0 while it has none.", nil, nil),
		received: prometheus.NewDesc(mesh.MetricCertificateReceived, "When the sidecar's certificate was taken into use, 0 while it has none.", nil, nil),
		failing: prometheus.NewDesc(mesh.MetricCertificateFailing,
			"Since when the sidecar tries in vain to get a certificate, by why the last try failed; not there while none fails.", []string{"reason"}, nil),
	})
}

// Describe is part of prometheus.Collector.
func (c *certificateCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.ends
	out <- c.received
	out <- c.failing
}

// Collect is part of prometheus.Collector.
func (c *certificateCollector) Collect(out chan<- prometheus.Metric) {
	now := c.current()
	out <- prometheus.MustNewConstMetric(c.ends, prometheus.GaugeValue, float64(now.Ends))
	out <- prometheus.MustNewConstMetric(c.received, prometheus.GaugeValue, float64(now.Received))
	if now.Failing != 0 {
		out <- prometheus.MustNewConstMetric(c.failing, prometheus.GaugeValue, float64(now.Failing), now.Reason)
	}
}
