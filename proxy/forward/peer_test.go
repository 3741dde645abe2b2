package forward_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestInbound(t *testing.T) {
	got := make(chan http.Header, 1)
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Clone()
		w.Header().Set("X-Envoy-Peer-Metadata", "forged")
	})
	s := newSidecar(t, payments, listen.Inbound)
	s.simple(route.Forward{}, e)
	metadata, err := forward.EncodePeer(tickets)
	if err != nil {
		t.Fatal(err)
	}
	a := s.get("/", "X-Envoy-Peer-Metadata", metadata, "X-Envoy-Peer-Metadata-Id", "tickets-1", "X-Forwarded-For", "1.2.3.4")
	h := <-got
	if h.Get("X-Envoy-Peer-Metadata") != "" || h.Get("X-Envoy-Peer-Metadata-Id") != "" {
		t.Error("the app sees peer metadata")
	}
	if v := h.Get("X-Forwarded-For"); v != "1.2.3.4, 127.0.0.1" {
		t.Errorf("X-Forwarded-For %q", v)
	}
	own, _ := forward.EncodePeer(payments)
	if a.Header.Get("X-Envoy-Peer-Metadata") != own || a.Header.Get("X-Envoy-Peer-Metadata-Id") != "payments-1" {
		t.Error("the answer does not carry our metadata")
	}
	x := s.seen.next(t)
	if x.Source.Workload != tickets || x.Source.NodeID != "tickets-1" || x.Destination.Workload != payments {
		t.Errorf("source %+v, destination %+v", x.Source, x.Destination)
	}
	for _, bad := range []string{"", "!!", "aGVsbG8=", strings.Repeat("A", 20_000)} {
		a := s.get("/", "X-Envoy-Peer-Metadata", bad)
		<-got
		if x := s.seen.next(t); !x.Source.IsUnknown() {
			t.Errorf("metadata %.10q named %+v", bad, x.Source)
		}
		if a.Header.Get("X-Envoy-Peer-Metadata") != "" {
			t.Errorf("a stranger with metadata %.10q was told who we are", bad)
		}
	}
}

func TestPeerNamesItself(t *testing.T) {
	canary := mesh.Workload{Namespace: "cinema", Name: "payments-v2", App: "payments", Version: "v2"}
	metadata, _ := forward.EncodePeer(canary)
	e := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Envoy-Peer-Metadata", metadata) })
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	if a := s.get("/"); a.Header.Get("X-Envoy-Peer-Metadata") != "" {
		t.Error("the client app sees peer metadata")
	}
	if x := s.seen.next(t); x.Destination.Workload != canary {
		t.Errorf("destination %+v, want what the answer says", x.Destination)
	}
}

func TestExternalGetsNoMetadata(t *testing.T) {
	got := make(chan http.Header, 1)
	e := backend(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Clone() })
	s := newSidecar(t, tickets, listen.Outbound)
	c := paymentsCluster(e)
	c.External = true
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}, AutoHost: true}}}, c)
	s.get("/", "X-Envoy-Peer-Metadata", "forged")
	if h := <-got; h.Get("X-Envoy-Peer-Metadata") != "" {
		t.Error("metadata left the mesh")
	}
	s.seen.next(t)
}
