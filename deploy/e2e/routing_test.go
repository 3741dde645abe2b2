package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// routed is an edge as far as these scenarios look.
type routed struct {
	Source     string                            `json:"source"`
	Target     string                            `json:"target"`
	RPS        float64                           `json:"rps"`
	ErrorRatio float64                           `json:"error_ratio"`
	Attempts   float64                           `json:"attempts_per_request"`
	Mirrored   bool                              `json:"mirrored"`
	P50        float64                           `json:"p50_ms"`
	AnsweredBy struct{ Upstream, Proxy float64 } `json:"answered_by"`
}

// awaitEdge waits until the edge between two ends is as it should be.
func awaitEdge(t *testing.T, m *meshUnderTest, source, target, what string, ok func(routed) bool) {
	t.Helper()
	eventually(t, 60*time.Second, source+" → "+target+" "+what, func() error {
		var v struct{ Edges []routed }
		if err := m.try("/api/v1/graph?window=10s", &v); err != nil {
			return err
		}
		var seen []string
		for _, e := range v.Edges {
			if strings.HasSuffix(e.Source, source) && strings.HasSuffix(e.Target, target) {
				if ok(e) {
					t.Logf("%+v", e)
					return nil
				}
				seen = append(seen, fmt.Sprintf("%+v", e))
			}
		}
		return fmt.Errorf("%d edges, these between the two: %v", len(v.Edges), seen)
	})
}

func TestMirror(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "mirror")
	awaitEdge(t, m, "front/web", "catalog/catalog-v1", "has all", func(e routed) bool { return !e.Mirrored && e.RPS > 5 && e.ErrorRatio == 0 })
	// Before, v2 had a tenth of the requests: so many can only be copies.
	awaitEdge(t, m, "front/web", "catalog/catalog-v2", "has copies of them", func(e routed) bool {
		return e.Mirrored && e.RPS > 5 && e.P50 > 0 && e.AnsweredBy.Upstream > 5
	})
	checkServing(t, m, "GET", "/", 200)
}

func TestRetryStorm(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "retry-storm")
	awaitEdge(t, m, "booking/tickets", "booking/payments", "has a storm of tries", func(e routed) bool { return e.Attempts > 2 })
	awaitEdge(t, m, "booking/tickets", "booking/payments", "is calm with a budget", func(e routed) bool { return e.Attempts > 0 && e.Attempts < 1.8 })
}

// What leaves is answered by the sidecar in the name of the object that forbids
// it, until an object makes the host known.
func TestEgress(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "egress")
	awaitEdge(t, m, "booking/payments", "BlackHoleCluster", "is answered by the proxy", func(e routed) bool {
		return e.AnsweredBy.Proxy > 0 && e.AnsweredBy.Upstream == 0 && e.ErrorRatio == 1
	})
	var ev struct {
		Status int
		By     string `json:"answered_by"`
		Object string
		Route  string
	}
	// Before there is a Sidecar the host is unknown, too, and nobody forbids it.
	line := commandFor(t, 60*time.Second, "tap", "booking/payments", "--where", `status = 502 and direction = outbound and object = "Sidecar booking/default"`, "-n", "1", "-o", "json",
		"--duration", "50s", "--address", m.url).must(t)
	if err := json.Unmarshal([]byte(line), &ev); err != nil {
		t.Fatalf("tap printed %q: %v", line, err)
	}
	if ev.By != "proxy" || ev.Object != "Sidecar booking/default" || ev.Route != "block_all" {
		t.Errorf("the tapped request: %+v", ev)
	}
	awaitEdge(t, m, "booking/payments", "vendor.example", "is let out", func(e routed) bool { return e.AnsweredBy.Upstream > 0 && e.ErrorRatio == 0 })
	checkServing(t, m, "POST", "/tickets?card=good", 201)
}
