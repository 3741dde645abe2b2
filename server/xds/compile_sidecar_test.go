package xds

import (
	"testing"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// Which Sidecar is for a node, and what becomes of what nobody has there.
func TestSidecarOfANode(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const objects = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: mesh, namespace: istio-system}
spec: {outboundTrafficPolicy: {mode: ALLOW_ANY}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: all, namespace: bank}
spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: web, namespace: bank}
spec: {workloadSelector: {labels: {app: web}}, egress: [{hosts: ["./*"]}]}
`
	if _, err := store.Apply(t.Context(), []byte(objects), "test"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(store.Snapshot(), "demo", Security{})
	for _, tt := range []struct {
		namespace, app, kind string
		captured             bool
		want                 string
		unknown              unknown
	}{
		{"shop", "web", "sidecar", false, "Sidecar istio-system/mesh", byName},
		{"shop", "web", "sidecar", true, "Sidecar istio-system/mesh", original},
		{"bank", "till", "sidecar", true, "Sidecar bank/all", blocked},
		{"bank", "web", "sidecar", true, "Sidecar bank/web", original},
		{"bank", "web", "sidecar", false, "Sidecar bank/web", blocked},
		{"bank", "web", "gateway", false, "", blocked},
	} {
		p := &proxy{}
		p.node.Workload.Namespace, p.node.Kind, p.node.Labels = tt.namespace, tt.kind, map[string]string{"app": tt.app}
		if tt.captured {
			p.capture = &capture{}
		}
		by := w.sharing(p)
		if got := w.scope(by).unknown(); by.sidecar != tt.want || got != tt.unknown {
			t.Errorf("%+v: %s and %d", tt, by.sidecar, got)
		}
	}
}
