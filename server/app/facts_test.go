package app

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// objects decodes YAML as the store does.
func objects(t *testing.T, yaml string) []*config.Object {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := config.Open(config.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if problems := store.Problems(); config.HasErrors(problems) {
		t.Fatalf("the test's own objects are wrong: %v", problems)
	}
	return store.Objects()
}

func TestFacts(t *testing.T) {
	const catalog = "catalog.cinema.svc.cluster.local"
	all := objects(t, cinema)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := func(name string) mesh.Workload {
		return mesh.Workload{Cluster: "east", Namespace: "cinema", Name: name}
	}
	nodes := skew.NodesView{Nodes: []skew.NodeStatus{
		{ID: "b", Workload: w("catalog-v1"), State: skew.Rejected, Since: since, Reason: "refused", Revision: 3, Behind: 2},
		{ID: "c", Workload: w("web"), State: skew.NeverConnected},
		{ID: "a", Workload: w("catalog-v1"), State: skew.Synced, Revision: 5},
		{ID: "x"},
	}}
	got := factsOf(registry.Build(all), all, nodes, "west")

	if d := cmp.Diff(map[string]graph.ServiceFacts{
		catalog: {
			Service:   mesh.Service{Host: catalog, Namespace: "cinema", Name: "catalog"},
			Workloads: []string{"east/cinema/catalog-v1", "west/cinema/catalog-v2"},
		},
		"api.bank.example": {Service: mesh.Service{Host: "api.bank.example", Namespace: "cinema", Name: "api.bank.example"}, External: true},
	}, got.Services); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	v1 := got.Workloads["east/cinema/catalog-v1"]
	if d := cmp.Diff(graph.WorkloadFacts{
		Workload: w("catalog-v1"), Meshed: true, ConfigSince: since, ConfigReason: "1 of 2 instances: refused",
		Config: &graph.ConfigState{State: "rejected", Revision: 3, Behind: 2, Nodes: 2},
	}, v1); d != "" {
		t.Errorf("catalog-v1 (-want +got):\n%s", d)
	}
	if v2 := got.Workloads["west/cinema/catalog-v2"]; v2.Meshed || v2.Config != nil || v2.Workload.App != "catalog" {
		t.Errorf("catalog-v2 %+v", v2)
	}
	if web := got.Workloads["east/cinema/web"]; web.Meshed || web.Config == nil {
		t.Errorf("web %+v", web)
	}
	if d := cmp.Diff([]graph.Split{{
		Host: catalog, Sources: []string{"east/cinema/catalog-v1"}, Object: "VirtualService cinema/catalog",
		Shares: []graph.Share{{Workloads: []string{"east/cinema/catalog-v1"}, Weight: 90}, {Workloads: []string{"west/cinema/catalog-v2"}, Weight: 10}},
	}}, got.Splits); d != "" {
		t.Errorf("splits (-want +got):\n%s", d)
	}
}

// A TrafficSplit is the split of its service, by its own name; a VirtualService
// goes before it.
func TestFactsOfTrafficSplit(t *testing.T) {
	const split = `
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: next, namespace: cinema}
spec:
  hosts: [catalog-next.cinema.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 8080, name: http}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: rollout, namespace: cinema}
spec: {service: catalog, backends: [{service: catalog, weight: 3}, {service: catalog-next, weight: 1}]}
`
	all := objects(t, cinema+split)
	reg := registry.Build(all)
	first := func(all []*config.Object) string { return factsOf(reg, all, skew.NodesView{}, "").Splits[0].Object }
	if got := first(all); got != "VirtualService cinema/catalog" {
		t.Errorf("the first split is of %s", got)
	}
	all = slices.DeleteFunc(all, func(o *config.Object) bool { return o.VirtualService() != nil })
	if got := first(all); got != "TrafficSplit cinema/rollout" {
		t.Errorf("without the VirtualService the split is of %s", got)
	}
	want := graph.Policy{Object: "TrafficSplit cinema/rollout", Host: "catalog.cinema.svc.cluster.local"}
	if got := policiesOf(reg, all, skew.NodesView{}, ""); !slices.ContainsFunc(got, func(p graph.Policy) bool { return cmp.Equal(p, want) }) {
		t.Errorf("policies %+v, want %+v among them", got, want)
	}
}

// With two weighted routes nobody can tell which of them an edge belongs to.
func TestFactsOfManyRoutes(t *testing.T) {
	all := objects(t, cinema)
	for _, o := range all {
		if vs := o.VirtualService(); vs != nil {
			vs.Http = append(vs.Http, vs.Http[0])
			vs.Http[0].Mirror = &networking.Destination{Host: "catalog", Subset: "v2"}
		}
	}
	got := factsOf(registry.Build(all), all, skew.NodesView{}, "")
	if len(got.Splits) != 0 {
		t.Errorf("splits %+v", got.Splits)
	}
	want := []graph.Mirror{{Host: "catalog.cinema.svc.cluster.local", Workloads: []string{"cinema/catalog-v2"}}}
	if d := cmp.Diff(want, got.Mirrors); d != "" {
		t.Errorf("mirrors (-want +got):\n%s", d)
	}
}

func TestMarkersAreBounded(t *testing.T) {
	var m markers
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range markersMax + 10 {
		m.add(graph.Marker{At: began.Add(time.Duration(i) * time.Second)})
	}
	all := m.between(began, began.Add(24*time.Hour))
	if len(all) != markersMax || !all[0].At.Equal(began.Add(10*time.Second)) {
		t.Errorf("%d markers kept, first at %s", len(all), all[0].At)
	}
	if some := m.between(began.Add(20*time.Second), began.Add(30*time.Second)); len(some) != 11 {
		t.Errorf("%d markers in eleven seconds", len(some))
	}
}
