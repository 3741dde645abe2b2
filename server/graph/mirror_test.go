package graph

import (
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The client's side counts copies among its answers only, and times none.
func TestCopiesAreCounted(t *testing.T) {
	e := New(Options{})
	web, v2 := mesh.Workload{Namespace: "front", Name: "web"}, mesh.Workload{Namespace: "catalog", Name: "catalog-v2"}
	catalog := mesh.Service{Host: "catalog.catalog.svc.cluster.local", Namespace: "catalog", Name: "catalog"}
	e.SetFacts(Facts{Mirrors: []Mirror{{Host: catalog.Host, Workloads: []string{v2.ID()}}}})
	delta := func(reporter mesh.Reporter) mesh.EdgeDelta {
		return mesh.EdgeDelta{Key: mesh.EdgeKey{Reporter: reporter, Source: web, Target: v2, Service: catalog, Protocol: mesh.HTTP, Security: "none"}}
	}
	for s := range 20 {
		at := day.Add(time.Duration(s) * time.Second)
		sent, taken := delta(mesh.FromSource), delta(mesh.FromDestination)
		sent.Responses = map[mesh.Outcome]float64{{Code: 200, AnsweredBy: mesh.AnsweredByUpstream}: 9, {Code: 503, AnsweredBy: mesh.AnsweredByProxy, Details: "x"}: 1}
		sent.Attempts = 10
		taken.Requests = map[mesh.Outcome]float64{{Code: 200}: 9}
		taken.Latency.Buckets = []mesh.Bucket{{Lower: 10, Upper: 20, Count: 9}}
		for target, d := range map[string]mesh.EdgeDelta{"web": sent, "catalog-v2": taken} {
			e.Add(mesh.EdgeBatch{Target: target, At: at, Interval: time.Second, Up: true, Deltas: []mesh.EdgeDelta{d}})
		}
	}
	view := e.View(Query{Window: 10 * time.Second}, day.Add(19*time.Second))
	if len(view.Edges) != 1 {
		t.Fatalf("%d edges", len(view.Edges))
	}
	edge := view.Edges[0]
	if !edge.Mirrored || !near(edge.RPS, 10, 1e-6) || !near(edge.ErrorRatio, 0.1, 1e-6) || !near(edge.AttemptsPerRequest, 1, 1e-6) {
		t.Errorf("mirrored %v, rps %v, errors %v, attempts %v", edge.Mirrored, edge.RPS, edge.ErrorRatio, edge.AttemptsPerRequest)
	}
	if edge.P50MS == nil || *edge.P50MS < 10 || *edge.P50MS > 20 {
		t.Errorf("the server's time is not shown: %v", edge.P50MS)
	}
	if last := edge.RPSSeries[len(edge.RPSSeries)-1]; !near(last, 10, 1e-6) {
		t.Errorf("the series ends with %v", last)
	}
}
