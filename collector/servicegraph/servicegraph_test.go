package servicegraph

import (
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func delta(reporter mesh.Reporter, from, to mesh.Workload, outcome mesh.Outcome, n, ms float64) mesh.EdgeDelta {
	return mesh.EdgeDelta{
		Key:      mesh.EdgeKey{Reporter: reporter, Source: from, Target: to, Service: mesh.Service{Name: "bank"}, Protocol: mesh.HTTP},
		Requests: map[mesh.Outcome]float64{outcome: n},
		Latency:  mesh.Histogram{Count: n, Sum: n * ms, Buckets: []mesh.Bucket{{Lower: ms / 2, Upper: ms, Count: n}}},
	}
}

// Each request counts once, whoever of the two reports it, and its time on the
// side that measured it.
func TestServiceGraph(t *testing.T) {
	g := New()
	var handed int
	publish := g.Watch(func(b mesh.EdgeBatch) { handed += len(b.Deltas) })
	web, tickets, nobody := mesh.Workload{Name: "web-v1", App: "web"}, mesh.Workload{Name: "tickets"}, mesh.Workload{}
	ok, bad := mesh.Outcome{Code: 200}, mesh.Outcome{Code: 200, GRPC: "14"}
	publish(mesh.EdgeBatch{Deltas: []mesh.EdgeDelta{
		delta(mesh.FromSource, web, tickets, ok, 8, 100),
		delta(mesh.FromSource, web, tickets, bad, 2, 250),
		delta(mesh.FromDestination, web, tickets, ok, 10, 50),
		delta(mesh.FromDestination, nobody, web, ok, 3, 1),
		delta(mesh.FromSource, tickets, nobody, mesh.Outcome{Code: 503}, 1, 40),
	}})
	want := `
# HELP traces_service_graph_request_failed_total Requests between two services that failed.
# TYPE traces_service_graph_request_failed_total counter
traces_service_graph_request_failed_total{client="tickets",connection_type="",server="bank"} 1
traces_service_graph_request_failed_total{client="web",connection_type="",server="tickets"} 2
# HELP traces_service_graph_request_total Requests between two services.
# TYPE traces_service_graph_request_total counter
traces_service_graph_request_total{client="tickets",connection_type="",server="bank"} 1
traces_service_graph_request_total{client="user",connection_type="",server="web"} 3
traces_service_graph_request_total{client="web",connection_type="",server="tickets"} 10
`
	if err := testutil.CollectAndCompare(g, strings.NewReader(want), "traces_service_graph_request_total", "traces_service_graph_request_failed_total"); err != nil {
		t.Error(err)
	}
	text, err := testutil.CollectAndFormat(g, expfmt.TypeTextPlain, "traces_service_graph_request_client_seconds")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`traces_service_graph_request_client_seconds_bucket{client="web",connection_type="",server="tickets",le="0.05"} 0`,
		`traces_service_graph_request_client_seconds_bucket{client="web",connection_type="",server="tickets",le="0.1"} 8`,
		`traces_service_graph_request_client_seconds_bucket{client="web",connection_type="",server="tickets",le="0.25"} 10`,
		`traces_service_graph_request_client_seconds_sum{client="web",connection_type="",server="tickets"} 1.3`,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
	if handed != 5 {
		t.Errorf("%d edges were handed on, want 5", handed)
	}
}

// The native form holds each bucket where it ends, or just above; what has no
// end, or lies outside of what is kept, at the ends.
func TestNative(t *testing.T) {
	var h histogram
	h.add(mesh.Histogram{Sum: 4000, Buckets: []mesh.Bucket{
		{Lower: 500, Upper: 1000, Count: 3}, {Lower: 900, Upper: 1100, Count: 2}, {Lower: 60_000, Upper: math.Inf(1), Count: 1},
	}})
	h.add(mesh.Histogram{Sum: 500, Buckets: []mesh.Bucket{{Lower: 400, Upper: 500, Count: 4}, {Lower: 0, Upper: 1e-9, Count: 1}}})
	got := h.dto()
	buckets := map[int]int64{}
	at, n := int(got.PositiveSpan[0].GetOffset()), int64(0)
	for i, d := range got.PositiveDelta {
		if n += d; n != 0 {
			buckets[at+i] = n
		}
	}
	// Bucket 0 ends at 1 s, each further one a fourth root of two above.
	want := map[int]int64{lowest: 1, -4: 4, 0: 3, 1: 2, highest: 1}
	if !maps.Equal(buckets, want) || got.GetSampleCount() != 11 || got.GetSampleSum() != 4.5 {
		t.Errorf("%d observed, sum %g, in %v, want %v", got.GetSampleCount(), got.GetSampleSum(), buckets, want)
	}
}

// Beyond the bound sums stay right.
func TestBound(t *testing.T) {
	g := New()
	for i := range maxEdges + 5 {
		w := mesh.Workload{Name: strings.Repeat("x", i%100) + string(rune('A'+i/100))}
		g.add(mesh.EdgeBatch{Deltas: []mesh.EdgeDelta{delta(mesh.FromSource, w, mesh.Workload{Name: "y"}, mesh.Outcome{Code: 200}, 1, 1)}})
	}
	if len(g.edges) != maxEdges+1 || g.edges[edge{other, other}].requests != 5 {
		t.Errorf("%d edges, %+v", len(g.edges), g.edges[edge{other, other}])
	}
}
