package app

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api"
)

func batch(at time.Time, n float64) mesh.EdgeBatch {
	web := mesh.Workload{Namespace: "cinema", Name: "web", App: "web"}
	catalog := mesh.Workload{Namespace: "cinema", Name: "catalog-v1", App: "catalog", Version: "v1"}
	svc := mesh.Service{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"}
	delta := func(r mesh.Reporter) mesh.EdgeDelta {
		return mesh.EdgeDelta{
			Key:      mesh.EdgeKey{Reporter: r, Source: web, Target: catalog, Service: svc, Protocol: mesh.HTTP, Security: "none"},
			Requests: map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: n * 0.9, {Code: 503, Flags: "UF"}: n * 0.1},
		}
	}
	return mesh.EdgeBatch{
		Target: "127.0.0.1:15020", Node: "web-1", Workload: web, At: at, Interval: time.Second, Up: true,
		Deltas: []mesh.EdgeDelta{delta(mesh.FromSource), delta(mesh.FromDestination)},
	}
}

func TestServer(t *testing.T) {
	a := start(t, nil)
	addr := a.Addrs()
	eventually(t, "readiness", func() bool { return get(t, addr.Admin, "/readyz", nil) == 200 })

	now := time.Now()
	for i := range 5 {
		a.Publish(batch(now.Add(time.Duration(i-5)*time.Second), 100))
	}
	var status api.Status
	get(t, addr.API, "/api/v1/status", &status)
	// The first batch of a target begins no interval... each later one counts
	// once, though both sides reported it.
	if c := status.Counts; c.Requests == 0 || c.Requests > 500 || c.Errors*10 != c.Requests || c.Edges != 1 || c.Services != 2 || c.Revisions != 1 || c.Dropped != 0 {
		t.Errorf("counts %+v", c)
	}
	if status.Version != "test" || status.Mode != "server" || status.StartedAt.IsZero() || status.UptimeS <= 0 {
		t.Errorf("status %+v", status)
	}

	// A node whose traffic is seen and that never asked for configuration.
	var nodes struct {
		Nodes []struct{ ID, State string }
	}
	get(t, addr.API, "/api/v1/nodes", &nodes)
	if len(nodes.Nodes) != 1 || nodes.Nodes[0].ID != "web-1" || nodes.Nodes[0].State != "never-connected" {
		t.Errorf("nodes %+v", nodes)
	}

	var services struct{ Items []api.ServiceItem }
	get(t, addr.API, "/api/v1/services", &services)
	if len(services.Items) != 2 || services.Items[1].Host != "catalog.cinema.svc.cluster.local" || services.Items[1].Endpoints != 2 ||
		!slices.Equal(services.Items[1].Workloads, []string{"cinema/catalog-v1", "cinema/catalog-v2"}) || !services.Items[0].External {
		t.Errorf("services %+v", services.Items)
	}

	var timeline struct {
		Markers []struct {
			Kind     string
			Revision int
		}
	}
	get(t, addr.API, "/api/v1/timeline", &timeline)
	if len(timeline.Markers) != 1 || timeline.Markers[0].Kind != "config" || timeline.Markers[0].Revision != 1 {
		t.Errorf("markers %+v", timeline.Markers)
	}

	var metrics string
	get(t, addr.Admin, "/metrics", &metrics)
	for _, line := range []string{
		"sidelight_server_edge_batches_total 5", `sidelight_config_nodes{state="never-connected"} 1`, "go_goroutines",
		`sidelight_config_desired_revision 1`, `sidelight_config_push_stage_seconds_count{stage="compile"}`, `pilot_push_triggers{type="config"}`,
		`pilot_services 2`, `pilot_xds{version=`, `pilot_proxy_convergence_time_bucket{le="0.1"}`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %q", line)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/", "/healthz", "/readyz"} {
		if code := get(t, addr.API, path, nil); code != 404 {
			t.Errorf("%s on the public listener: %d", path, code)
		}
	}
}

// A collector in another process.
func TestRemoteEdges(t *testing.T) {
	a := start(t, nil)
	stream, err := meshv1.NewEdgesClient(dial(t, a.Addrs().XDS)).Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	send := func(batches ...*meshv1.EdgeBatch) uint64 {
		t.Helper()
		if err := stream.Send(&meshv1.EdgeBatches{Batches: batches}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetBatches()
	}
	for i := range 3 {
		send(meshv1.FromEdgeBatch(batch(now.Add(time.Duration(i-3)*time.Second), 10)))
	}
	if n := send(&meshv1.EdgeBatch{Deltas: []*meshv1.EdgeDelta{nil, {}}}, nil); n != 5 { // garbage
		t.Errorf("%d batches are answered for, want 5", n)
	}
	// A collector that heard no answer sends the same again.
	before := a.engine.Stats()
	send(meshv1.FromEdgeBatch(batch(now.Add(-time.Second), 10)))
	if got := a.engine.Stats(); got.Requests != before.Requests || got.Repeated != 1 {
		t.Errorf("the same again: %+v, before %+v", got, before)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	var status api.Status
	get(t, a.Addrs().API, "/api/v1/status", &status)
	if status.Counts.Edges != 1 || status.Counts.Requests == 0 {
		t.Errorf("counts %+v", status.Counts)
	}
	// A stream that is open when the server stops does not hold it up: start's
	// cleanup checks the time.
	if _, err := meshv1.NewEdgesClient(dial(t, a.Addrs().XDS)).Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
}
