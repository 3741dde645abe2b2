package xds

import (
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// A route for callers of some labels is for them alone; callers that differ in
// other labels share what is compiled.
func TestSourceLabels(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const objects = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.example]
  http:
  - name: beta
    match: [{sourceLabels: {channel: beta}}]
    directResponse: {status: 200}
  - name: all
    directResponse: {status: 410}
`
	if _, err := store.Apply(t.Context(), []byte(objects), "test"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(store.Snapshot(), "demo", Security{})
	by := func(labels map[string]string) (sharing, int) {
		p := &proxy{}
		p.node.Workload.Namespace, p.node.Labels = "default", labels
		key := w.sharing(p)
		m, err := w.share(key, nil)[routeType].get(outboundRoute).Any.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		return key, len(m.(*routev3.RouteConfiguration).VirtualHosts[0].Routes)
	}
	beta, n := by(map[string]string{"channel": "beta", "zone": "a"})
	if n != 2 {
		t.Errorf("%d routes for whom both are, want 2", n)
	}
	if other, _ := by(map[string]string{"channel": "beta", "zone": "b"}); other != beta {
		t.Errorf("%+v and %+v differ in what no route asks for", other, beta)
	}
	if other, n := by(nil); other == beta || n != 1 {
		t.Errorf("%d routes for others, as %+v", n, other)
	}
}
