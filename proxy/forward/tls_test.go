package forward_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// meshBackend is an endpoint whose sidecar takes mutual TLS.
func meshBackend(t *testing.T, id *identity.Source, h http.HandlerFunc) cluster.Endpoint {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Listener = tls.NewListener(server.Listener, id.ServerTLS(nil))
	server.Start()
	t.Cleanup(server.Close)
	return cluster.Endpoint{Address: server.Listener.Addr().String(), Workload: payments, TLSMode: cluster.ModeMesh}
}

func withIdentity(id *identity.Source) func(*forward.Options) {
	return func(o *forward.Options) { o.Identity = id }
}

func meshCluster(names []string, endpoints ...cluster.Endpoint) cluster.Config {
	c := paymentsCluster(endpoints...)
	c.MeshTLS = &cluster.TLS{Mesh: true, SNI: "outbound_.8080_._.payments.cinema.svc.cluster.local", Names: names}
	return c
}

func TestEndpointsOfTheMeshAreReachedUnderMutualTLS(t *testing.T) {
	ca := identitytest.New(t, "cluster.local")
	var sni, peer string
	mesh := meshBackend(t, ca.Source("cinema", "payments"), func(w http.ResponseWriter, r *http.Request) {
		sni, peer = r.TLS.ServerName, identity.Principal(*r.TLS)
		io.WriteString(w, "secure")
	})
	plain := backend(t, answering(200))
	s := newSidecar(t, tickets, listen.Outbound, withIdentity(ca.Source("cinema", "tickets")))
	all := []route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}

	s.apply(all, meshCluster([]string{ca.ID("cinema", "payments")}, mesh))
	if a := s.get("/"); a.body != "secure" {
		t.Fatalf("%d %q", a.StatusCode, a.body)
	}
	x := s.seen.next(t)
	if x.TLS != "mutual_tls" || x.Destination.Principal != ca.ID("cinema", "payments") || x.Destination.Name != "payments" {
		t.Errorf("TLS %q, destination %+v", x.TLS, x.Destination)
	}
	if peer != ca.ID("cinema", "tickets") || !strings.HasPrefix(sni, "outbound_.8080_") {
		t.Errorf("the endpoint saw %q, SNI %q", peer, sni)
	}

	s.apply(all, meshCluster([]string{ca.ID("cinema", "payments")}, plain))
	if a := s.get("/"); a.body != "OK" {
		t.Fatalf("an endpoint without TLS: %d %q", a.StatusCode, a.body)
	}
	if x := s.seen.next(t); x.TLS != "none" || x.Destination.Principal != "" {
		t.Errorf("TLS %q, destination %+v", x.TLS, x.Destination)
	}
}

func TestHandshakesThatFail(t *testing.T) {
	ca, other := identitytest.New(t, "cluster.local"), identitytest.New(t, "elsewhere.example")
	here := ca.Source("cinema", "tickets")
	plain := backend(t, answering(200))
	plain.TLSMode = cluster.ModeMesh
	tests := []struct {
		name    string
		client  *identity.Source
		to      cluster.Endpoint
		details string
	}{
		{"another identity", here, meshBackend(t, ca.Source("cinema", "bank"), answering(200)), "TLS_error:_certificate_verify_failed"},
		{"another trust domain", here, meshBackend(t, other.Source("cinema", "payments"), answering(200)), "TLS_error:_certificate_verify_failed"},
		{"no TLS there", here, plain, "TLS_error:_the_endpoint_speaks_no_TLS"},
		{"no certificate here", &identity.Source{}, meshBackend(t, ca.Source("cinema", "payments"), answering(200)), "TLS_error:_no_certificate_of_our_own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSidecar(t, tickets, listen.Outbound, withIdentity(tt.client))
			s.apply([]route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}},
				meshCluster([]string{ca.ID("cinema", "payments")}, tt.to))
			if a := s.get("/"); a.StatusCode != 503 {
				t.Errorf("status %d %q", a.StatusCode, a.body)
			}
			x := s.seen.next(t)
			want := "upstream_reset_before_response_started{remote_connection_failure|" + tt.details + "}"
			if x.Details != want || x.Flags != forward.FlagUF || x.TLS != "none" {
				t.Errorf("details %s, want %s; flags %s, TLS %s", x.Details, want, x.Flags, x.TLS)
			}
		})
	}
}
