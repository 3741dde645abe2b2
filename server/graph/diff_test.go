package graph

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	s := readScenario(t, `
target a:1 a/web every=1 offset=0.1
target b:1 b/pay every=1 offset=0.2
traffic 0-300 a:1 source a/web > b/pay pay.b.svc.cluster.local http 200=10 latency=8
traffic 200-300 a:1 source a/web > b/pay pay.b.svc.cluster.local http 503=10 latency=40
traffic 0-100 a:1 source a/web > b/old old.b.svc.cluster.local http 200=2
traffic 200-300 a:1 source a/web > b/new new.b.svc.cluster.local http 200=2
`)
	e := s.engine(280)
	before, after_ := e.View(Query{}, after(90)), e.View(Query{}, after(280))
	// What was seen within the history is shown idle, until it is forgotten.
	before.Nodes, before.Edges = without(before, "workload:b/new")
	after_.Nodes, after_.Edges = without(after_, "workload:b/old")
	d := DiffOf(before, after_, []Marker{{At: after(200), Kind: "config", Text: "pay"}})
	ids := func(nodes []Node) (out []string) {
		for _, n := range nodes {
			out = append(out, n.ID)
		}
		return out
	}
	what := map[string][]string{}
	for _, c := range append(d.Nodes.Changed, d.Edges.Changed...) {
		what[c.ID] = c.What
	}
	if diff := cmp.Diff([]string{"workload:b/new"}, ids(d.Nodes.Added)); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"workload:b/old"}, ids(d.Nodes.Removed)); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	if len(d.Edges.Added) != 1 || len(d.Edges.Removed) != 1 || len(d.Markers) != 1 || !d.From.Before(d.To) {
		t.Errorf("got %+v", d)
	}
	sick := []string{"health ok → fail", "errors 0 % → 50 %", "p95 11.3 → 40 ms", "10 → 20 requests a second"}
	want := map[string][]string{"workload:b/pay": sick, "workload:a/web>workload:b/pay:http": sick, "workload:a/web": {"errors 0 % → 45.5 %", "p95 11.3 → 40 ms", "12 → 22 requests a second"}}
	if diff := cmp.Diff(want, what); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if d := DiffOf(after_, after_, nil); len(d.Nodes.Changed)+len(d.Edges.Changed)+len(d.Nodes.Added)+len(d.Edges.Removed) != 0 {
		t.Errorf("a view differs from itself: %+v", d)
	}
}

func without(v View, id string) (nodes []*Node, edges []*Edge) {
	for _, n := range v.Nodes {
		if n.ID != id {
			nodes = append(nodes, n)
		}
	}
	for _, e := range v.Edges {
		if e.Source != id && e.Target != id {
			edges = append(edges, e)
		}
	}
	return nodes, edges
}

func TestSince(t *testing.T) {
	e := New(Options{})
	if !e.Since().IsZero() {
		t.Errorf("nothing since %v", e.Since())
	}
	s := readScenario(t, "target a:1 a/web every=1 offset=0.5\ntraffic 0-9 a:1 source a/web > b/x x.b.svc.cluster.local http 200=1")
	if since := s.engine(9).Since(); since.Sub(day) < 0 || since.Sub(day) > 2*time.Second {
		t.Errorf("since %v", since)
	}
}
