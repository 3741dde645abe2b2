// Package servicegraph counts who calls whom under the names that Grafana's
// service graph asks for: traces_service_graph_*. It stands between scrape and
// publish, reads each edge batch and hands it on unchanged.
//
// Tempo makes these metrics of spans, and so of sampled traces; here they come
// of the sidecars' counters, and no request is missing. Services have the
// names that their spans have.
package servicegraph

import (
	"math"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// maxEdges bounds the pairs of services. What is beyond is counted on one
// edge, so that sums stay right.
const maxEdges = 10_000

// What stands for a caller that nobody could name, as Tempo has it, and for
// the edges beyond the bound.
const (
	user  = "user"
	other = "other"
)

// bounds are the histograms' buckets, in seconds.
var bounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Graph counts. It is a prometheus.Collector.
type Graph struct {
	mu    sync.Mutex
	edges map[edge]*counts
}

type edge struct{ client, server string }

type counts struct {
	requests, failed float64
	client, server   histogram
}

type histogram struct {
	count, sum float64
	buckets    []float64 // by bounds, not cumulated
}

// New makes an empty graph.
func New() *Graph { return &Graph{edges: map[edge]*counts{}} }

// Watch gives a publisher that counts before it hands on.
func (g *Graph) Watch(publish func(mesh.EdgeBatch)) func(mesh.EdgeBatch) {
	return func(b mesh.EdgeBatch) {
		g.add(b)
		publish(b)
	}
}

func (g *Graph) add(b mesh.EdgeBatch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range b.Deltas {
		d := &b.Deltas[i]
		if d.Key.Protocol == mesh.TCP {
			continue
		}
		c := g.of(edgeOf(d.Key))
		if d.Key.Reporter == mesh.FromDestination {
			c.server.add(d.Latency)
		} else {
			c.client.add(d.Latency)
		}
		if !counted(d.Key) {
			continue
		}
		for outcome, n := range d.Requests {
			c.requests += n
			if failed(outcome) {
				c.failed += n
			}
		}
	}
}

// counted says which of the two reports of a request counts it: the caller's,
// or the called one's when the caller has no sidecar to report.
func counted(k mesh.EdgeKey) bool {
	return k.Reporter == mesh.FromSource || k.Source.IsUnknown()
}

func failed(o mesh.Outcome) bool {
	return o.Code == 0 || o.Code >= 500 || o.GRPC != "" && o.GRPC != "0" && o.GRPC != "OK"
}

func edgeOf(k mesh.EdgeKey) edge {
	e := edge{client: name(k.Source), server: name(k.Target)}
	if k.Source.IsUnknown() {
		e.client = user
	}
	if k.Target.IsUnknown() {
		e.server = k.Service.Name
		if e.server == "" || e.server == mesh.Unknown {
			e.server = k.Service.Host
		}
	}
	if e.server == "" {
		e.server = mesh.Unknown
	}
	return e
}

func name(w mesh.Workload) string {
	if w.App != "" && w.App != mesh.Unknown {
		return w.App
	}
	return w.Name
}

func (g *Graph) of(e edge) *counts {
	c, ok := g.edges[e]
	if !ok && len(g.edges) >= maxEdges {
		e = edge{other, other}
		c, ok = g.edges[e]
	}
	if !ok {
		c = &counts{client: newHistogram(), server: newHistogram()}
		g.edges[e] = c
	}
	return c
}

func newHistogram() histogram { return histogram{buckets: make([]float64, len(bounds))} }

// add takes milliseconds. A bucket across one of our bounds counts above it:
// what is shown is never better than it was.
func (h *histogram) add(from mesh.Histogram) {
	h.count += from.Count
	h.sum += from.Sum / 1000
	for _, b := range from.Buckets {
		if i, _ := slices.BinarySearch(bounds, b.Upper/1000*(1-1e-9)); i < len(bounds) {
			h.buckets[i] += b.Count
		}
	}
}

func (h *histogram) metric(d *prometheus.Desc, e edge) prometheus.Metric {
	cumulated := make(map[float64]uint64, len(bounds))
	total := 0.0
	for i, bound := range bounds {
		total += h.buckets[i]
		cumulated[bound] = whole(total)
	}
	return prometheus.MustNewConstHistogram(d, whole(h.count), h.sum, cumulated, e.client, e.server, "")
}

func whole(v float64) uint64 { return uint64(math.Round(max(v, 0))) }

// The labels are Tempo's. connection_type is empty for a plain call.
func desc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("traces_service_graph_"+name, help, []string{"client", "server", "connection_type"}, nil)
}

func descs() (requests, failed, client, server *prometheus.Desc) {
	return desc("request_total", "Requests between two services."),
		desc("request_failed_total", "Requests between two services that failed."),
		desc("request_client_seconds", "Duration of requests as the client saw it."),
		desc("request_server_seconds", "Duration of requests as the server saw it.")
}

// Describe implements prometheus.Collector.
func (g *Graph) Describe(ch chan<- *prometheus.Desc) {
	requests, failed, client, server := descs()
	for _, d := range []*prometheus.Desc{requests, failed, client, server} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *Graph) Collect(ch chan<- prometheus.Metric) {
	requests, failed, client, server := descs()
	g.mu.Lock()
	defer g.mu.Unlock()
	for e, c := range g.edges {
		ch <- prometheus.MustNewConstMetric(requests, prometheus.CounterValue, c.requests, e.client, e.server, "")
		ch <- prometheus.MustNewConstMetric(failed, prometheus.CounterValue, c.failed, e.client, e.server, "")
		ch <- c.client.metric(client, e)
		ch <- c.server.metric(server, e)
	}
}
