package forward_test

import (
	"net/http"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// A cluster that goes by the host: requests reach the very host that they name,
// and one that names the sidecar's own port does not go round for ever.
func TestByHost(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	table, err := route.New(route.Config{Name: "routes", VirtualHosts: []route.VirtualHost{{
		Name: "allow_any", Domains: []string{"*"},
		Routes: []route.Route{{Name: "allow_any", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "PassthroughCluster"}}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.engine.Apply(forward.Snapshot{Routes: []*route.Table{table}, Clusters: []cluster.Config{{Name: "PassthroughCluster", ByHost: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.sockets.Apply([]listen.Config{{Name: "test", Address: s.address, Direction: listen.Outbound, RouteName: "routes"}}); err != nil {
		t.Fatal(err)
	}
	there := backend(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Host", r.Host) })
	for _, tt := range []struct {
		name, host string
		status     int
		flags      forward.Flags
	}{
		{"a host", there.Address, 200, 0},
		{"itself", s.address, 503, forward.FlagUF},
		{"no port", "127.0.0.1:http", 503, forward.FlagUH},
	} {
		res := s.get("/", "Host", tt.host)
		x := s.seen.next(t)
		if res.StatusCode != tt.status || x.Flags&tt.flags != tt.flags || x.Service.Name != "PassthroughCluster" {
			t.Errorf("%s: %d, flags %s, for %q", tt.name, res.StatusCode, x.Flags, x.Service.Name)
		}
		if tt.status == 200 && res.Header.Get("X-Host") != tt.host {
			t.Errorf("%s: asked as %q", tt.name, res.Header.Get("X-Host"))
		}
	}
}
