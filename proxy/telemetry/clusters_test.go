package telemetry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// Clusters with limits or outlier detection have levels, others have none.
func TestClusterLevels(t *testing.T) {
	e, err := forward.NewEngine(forward.Options{Workload: mesh.Workload{Name: "tickets", Namespace: "cinema"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	err = e.Apply(forward.Snapshot{Clusters: []cluster.Config{
		{Name: "plain"},
		{
			Name: "guarded", Limits: cluster.Limits{MaxRequests: 5, MaxPending: 1},
			Endpoints: []cluster.Endpoint{{Address: "127.0.0.1:1"}, {Address: "127.0.0.1:2"}},
			Outlier:   &cluster.Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := e.Upstream("guarded")
	u.Report(u.Hosts().All()[0], 503)
	reg := prometheus.NewRegistry()
	if err := RegisterClusters(reg, e); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(expose(t, reg)) {
		if !strings.HasPrefix(line, "#") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		`sidelight_circuit_breaker_in_use{breaker="pending",cluster="guarded"} 0`,
		`sidelight_circuit_breaker_in_use{breaker="requests",cluster="guarded"} 0`,
		`sidelight_circuit_breaker_limit{breaker="pending",cluster="guarded"} 1`,
		`sidelight_circuit_breaker_limit{breaker="requests",cluster="guarded"} 5`,
		`sidelight_circuit_breaker_open{breaker="pending",cluster="guarded"} 0`,
		`sidelight_circuit_breaker_open{breaker="requests",cluster="guarded"} 0`,
		`sidelight_mirrored_requests_dropped_total 0`,
		`sidelight_outlier_ejections_active{cluster="guarded"} 1`,
		`sidelight_outlier_ejections_total{cluster="guarded"} 1`,
		`sidelight_upstream_requests_active{cluster="guarded"} 0`,
		`sidelight_upstream_requests_pending{cluster="guarded"} 0`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}

// Copies are no requests of Istio's metrics.
func TestMirroredRequests(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	x := outbound()
	x.Mirror = true
	m.Done(x)
	text := expose(t, reg)
	for name, want := range map[string]bool{
		"istio_requests_total{": false, "istio_request_bytes_count{": false, "istio_request_duration_milliseconds_count{": false,
		"sidelight_responses_total{": true, "sidelight_upstream_attempts_total{": true,
	} {
		if strings.Contains(text, "\n"+name) != want {
			t.Errorf("a series of %s: %v, want %v", name, !want, want)
		}
	}
}
