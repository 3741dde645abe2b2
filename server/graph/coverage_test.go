package graph

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestCoverage(t *testing.T) {
	host := "catalog.cinema.svc.cluster.local"
	node := func(id string, meshed bool) *Node {
		return &Node{ID: "workload:" + id, Kind: KindWorkload, Namespace: id[:4], Meshed: meshed}
	}
	edge := func(from string) *Edge {
		return &Edge{Source: from, Target: "workload:film/catalog", Service: &mesh.Service{Host: host}}
	}
	view := View{
		Nodes: []*Node{node("film/catalog", true), node("film/old", false), node("cron/report", false)},
		Edges: []*Edge{edge("workload:film/web"), edge("workload:cron/report"), edge("unknown"), edge("workload:cron/report")},
	}
	policies := []Policy{
		{Object: "AuthorizationPolicy film/all", Workloads: []string{"film/catalog", "film/old"}},
		{Object: "VirtualService film/catalog", Host: host},
		{Object: "VirtualService film/nobody", Host: "nobody.calls"},
	}
	for name, want := range map[string][]string{
		"":     {"AuthorizationPolicy film/all: film/old", "VirtualService film/catalog: cron/report", "VirtualService film/catalog: unknown"},
		"film": {"AuthorizationPolicy film/all: film/old"},
		"cron": {"VirtualService film/catalog: cron/report"},
	} {
		c := CoverageOf(view, policies, name)
		var got []string
		for _, h := range c.NotHeld {
			got = append(got, h.Object+": "+h.Workload)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("namespace %q (-want +got):\n%s", name, diff)
		}
	}
	if c := CoverageOf(view, nil, ""); c.Workloads != 3 || c.Meshed != 1 || len(c.Unmeshed) != 2 {
		t.Errorf("counted %+v", c)
	}
}
