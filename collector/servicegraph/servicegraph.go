// Package servicegraph counts who calls whom under the names that Grafana's
// service graph asks for: traces_service_graph_*. It stands between scrape and
// publish, reads each edge batch and hands it on unchanged.
//
// Tempo makes these metrics of spans, and so of sampled traces; here they come
// of the sidecars' counters, and no request is missing. Services have the
// names that their spans have.
package servicegraph

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

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
		c = &counts{}
		g.edges[e] = c
	}
	return c
}

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
		labels := prometheus.MakeLabelPairs(requests, []string{e.client, e.server, ""})
		ch <- metric{requests, &dto.Metric{Label: labels, Counter: &dto.Counter{Value: new(c.requests)}}}
		if c.failed > 0 { // as Tempo: most pairs never have one
			ch <- metric{failed, &dto.Metric{Label: labels, Counter: &dto.Counter{Value: new(c.failed)}}}
		}
		ch <- metric{client, &dto.Metric{Label: labels, Histogram: c.client.dto()}}
		ch <- metric{server, &dto.Metric{Label: labels, Histogram: c.server.dto()}}
	}
}

// metric is one that is made for one collection: those of an edge share their
// labels.
type metric struct {
	desc *prometheus.Desc
	dto  *dto.Metric
}

// Desc implements prometheus.Metric.
func (m metric) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric.
func (m metric) Write(out *dto.Metric) error {
	out.Label, out.Counter, out.Histogram = m.dto.Label, m.dto.Counter, m.dto.Histogram
	return nil
}
