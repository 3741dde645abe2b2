package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Nodes known from traffic stay known when the server is killed: what is on
// disk is read by another server while the first one still runs.
func TestInventorySurvivesKill(t *testing.T) {
	state := t.TempDir()
	first := start(t, func(o *Options) { o.StateDir = state })
	first.Publish(batch(time.Now(), 10)) // its node never asked for configuration
	eventually(t, "an inventory on disk", func() bool {
		content, _ := os.ReadFile(filepath.Join(state, "nodes", "inventory.json"))
		return strings.Contains(string(content), `"web-1"`)
	})
	copied := t.TempDir() // as kill -9 leaves it
	if err := os.CopyFS(copied, os.DirFS(state)); err != nil {
		t.Fatal(err)
	}
	second := start(t, func(o *Options) { o.StateDir = copied })
	var view skew.NodesView
	get(t, second.Addrs().API, "/api/v1/nodes", &view)
	if len(view.Nodes) != 1 || view.Nodes[0].ID != "web-1" || view.Nodes[0].State != skew.NeverConnected || len(view.Nodes[0].History) == 0 {
		t.Errorf("nodes after the restart: %+v", view.Nodes)
	}
}

// A workload that discovery says has a sidecar is expected until one comes.
func TestExpectedFromDiscovery(t *testing.T) {
	a := start(t, func(o *Options) {
		marked := strings.Replace(cinema, "version: v1}}", `version: v1, sidecar.istio.io/inject: "true"}}`, 1)
		if err := os.WriteFile(filepath.Join(o.ConfigDir, "cinema.yaml"), []byte(marked), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	nodes := func() []skew.NodeStatus { return a.tracker.View(time.Now()).Nodes }
	eventually(t, "the expected node", func() bool {
		list := nodes()
		return len(list) == 1 && list[0].ID == "expected~cinema/catalog-v1" && list[0].State == skew.NeverConnected
	})
}

// With a service stand what is carried out for it, by its callers and by its own
// sidecars, each once, and then what it is made of.
func TestObjectsOfAService(t *testing.T) {
	const allow = `
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow-web, namespace: cinema}
spec: {selector: {matchLabels: {app: catalog}}, rules: [{from: [{source: {principals: ["cluster.local/ns/front/sa/web"]}}]}]}
`
	a := start(t, func(o *Options) {
		if err := os.WriteFile(filepath.Join(o.ConfigDir, "cinema.yaml"), []byte(cinema+allow), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	want := map[string][]string{
		"catalog": {
			"AuthorizationPolicy cinema/allow-web", "DestinationRule cinema/catalog", "VirtualService cinema/catalog",
			"ServiceEntry cinema/catalog", "WorkloadEntry cinema/catalog-v1", "WorkloadEntry cinema/catalog-v2",
		},
		"api": {"ServiceEntry cinema/bank"},
	}
	eventually(t, "the registry", func() bool { return len(overall{a}.Services()) == len(want) })
	for _, s := range (overall{a}).Services() {
		name, _, _ := strings.Cut(s.Service.Host, ".")
		if d := cmp.Diff(want[name], s.Objects); d != "" {
			t.Errorf("%s (-want +got):\n%s", s.Service.Host, d)
		}
	}
}
