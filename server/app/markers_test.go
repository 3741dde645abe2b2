package app

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func TestBreakerMarkers(t *testing.T) {
	var m markers
	node := mesh.Node{ID: "tickets-1", Workload: mesh.Workload{Namespace: "cinema", Name: "tickets"}}
	for _, tt := range []struct {
		ejection *meshv1.Ejection
		text     string
		severity graph.HealthState
	}{
		{&meshv1.Ejection{Service: "seats", Endpoint: "a:1", Status: 503, Out: 1, Of: 2}, "cinema/tickets took endpoint a:1 of seats out after 503 (1 of 2 out)", graph.Warn},
		{&meshv1.Ejection{Cluster: "outbound|80||seats", Endpoint: "b:1", Status: 500, Out: 2, Of: 2}, "breaker open: cinema/tickets has no endpoint of outbound|80||seats left, the last was b:1 (500)", graph.Fail},
		{&meshv1.Ejection{Service: "seats", Endpoint: "a:1", Returned: true, Out: 1, Of: 2}, "breaker closed: cinema/tickets asks seats again, endpoint a:1 is back", graph.OK},
		{&meshv1.Ejection{Service: "seats", Endpoint: "b:1", Returned: true, Out: 0, Of: 2}, "cinema/tickets asks endpoint b:1 of seats again (0 of 2 out)", graph.OK},
	} {
		m.ejected(node, tt.ejection)
		all := m.between(time.Time{}, time.Now().Add(time.Hour))
		got := all[len(all)-1]
		if !strings.HasPrefix(got.Text, tt.text) || got.Severity != tt.severity || got.Kind != "breaker" || got.At.IsZero() {
			t.Errorf("marker %+v, want %q, %s", got, tt.text, tt.severity)
		}
	}
}

func TestEjectionLog(t *testing.T) {
	var m markers
	node := mesh.Node{ID: "tickets-1", Workload: mesh.Workload{Namespace: "cinema", Name: "tickets"}}
	hourAhead := time.Now().Add(time.Hour) // the sidecar's clock is not ours
	m.ejected(node, &meshv1.Ejection{
		Cluster: "outbound|80|v1|seats.cinema.svc.cluster.local", Service: "seats", Endpoint: "a:1", Status: 503, Out: 1, Of: 2,
		At: timestamppb.New(hourAhead), Until: timestamppb.New(hourAhead.Add(15 * time.Second)),
	})
	m.ejected(node, &meshv1.Ejection{Service: "other", Endpoint: "b:1"})
	got := m.ejections("seats.cinema.svc.cluster.local")
	if len(got) != 1 || got[0].Node != "tickets-1" || got[0].Caller != "cinema/tickets" || got[0].Subset != "v1" || got[0].Endpoint != "a:1" || got[0].Of != 2 {
		t.Fatalf("log %+v", got)
	}
	if out := got[0].Until.Sub(got[0].At); out != 15*time.Second {
		t.Errorf("out for %s, want 15 s", out)
	}
	for range ejectionsMax + 10 {
		m.ejected(node, &meshv1.Ejection{Service: "seats", Endpoint: "a:1"})
	}
	if n := len(m.ejections("seats")); n != ejectionsMax {
		t.Errorf("%d kept, want %d", n, ejectionsMax)
	}
}
