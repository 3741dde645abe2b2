package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const cinema = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: catalog, namespace: cinema}
spec:
  hosts: [catalog.cinema.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: catalog}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: catalog-v1, namespace: cinema}
spec: {address: 127.0.0.1, ports: {http: 7001}, labels: {app: catalog, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: catalog-v2, namespace: cinema}
spec: {address: 127.0.0.1, ports: {http: 7002}, labels: {app: catalog, version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: catalog, namespace: cinema}
spec:
  host: catalog
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: catalog, namespace: cinema}
spec:
  hosts: [catalog]
  http:
  - route:
    - {destination: {host: catalog, subset: v1}, weight: 90}
    - {destination: {host: catalog, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, namespace: cinema}
spec:
  hosts: [api.bank.example]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: https, protocol: HTTPS}]
`

// start runs a server on free ports and stops it with the test.
func start(t *testing.T, change func(*Options)) *App {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cinema.yaml"), []byte(cinema), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{ConfigDir: dir, API: "127.0.0.1:0", Admin: "127.0.0.1:0", XDS: "127.0.0.1:0", Secure: "127.0.0.1:0", Mode: "server", Version: "test"}
	if change != nil {
		change(&opts)
	}
	a, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("stopping took %s", took)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return a
}

func get(t *testing.T, address, path string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch v := into.(type) {
	case nil:
	case *string:
		*v = string(body)
	default:
		if err := json.Unmarshal(body, into); err != nil {
			t.Fatalf("%s: %s: %v", path, body, err)
		}
	}
	return resp.StatusCode
}

// eventually waits for something that other goroutines bring about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

// A sidecar's agent stream: it is a target, a marker, and takes part in taps.
func TestAgent(t *testing.T) {
	a := start(t, nil)
	conn := dial(t, a.Addrs().XDS)
	targets := make(chan []Target, 10)
	watch, stopWatch := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = a.WatchTargets(watch, func(l []Target) { targets <- l })
	}()
	defer func() { stopWatch(); <-watched }()
	if first := <-targets; len(first) != 0 {
		t.Errorf("targets at first: %v", first)
	}
	stream, err := meshv1.NewAgentClient(conn).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hello := &meshv1.Hello{
		NodeId: "web-1", Workload: &meshv1.Workload{Namespace: "cinema", Name: "web"}, Kind: "sidecar",
		MetricsAddress: "127.0.0.1:15020", StartedAt: timestamppb.Now(),
	}
	if err := stream.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	got := <-targets
	if len(got) != 1 || got[0].Address != "127.0.0.1:15020" || got[0].Node != "web-1" || got[0].Workload.Name != "web" {
		t.Errorf("targets %+v", got)
	}
	var sd []api.ScrapeTarget
	get(t, a.Addrs().API, "/api/v1/sd", &sd)
	if len(sd) != 1 || sd[0].Targets[0] != "127.0.0.1:15020" || sd[0].Labels["node"] != "web-1" || sd[0].Labels["namespace"] != "cinema" {
		t.Errorf("sd %+v", sd)
	}
	var timeline struct{ Markers []struct{ Kind, Text string } }
	get(t, a.Addrs().API, "/api/v1/timeline", &timeline)
	if n := len(timeline.Markers); n != 2 || timeline.Markers[1].Kind != "start" || !strings.Contains(timeline.Markers[1].Text, "cinema/web") {
		t.Errorf("markers %+v", timeline.Markers)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if gone := <-targets; len(gone) != 0 {
		t.Errorf("targets after the end: %v", gone)
	}
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// figures answers queries that contain a text with a number.
type figures map[string]float64

func (f figures) Instant(_ context.Context, expr string, at time.Time) ([]metrics.Sample, error) {
	for part, v := range f {
		if strings.Contains(expr, part) {
			if v < 0 {
				return nil, fmt.Errorf("store: %w", mesh.ErrUnavailable)
			}
			return []metrics.Sample{{Labels: map[string]string{"node": "n1", "cluster": "outbound|8080|v1|catalog.cinema.svc.cluster.local"}, At: at, Value: v}}, nil
		}
	}
	return nil, nil
}

func (figures) Range(context.Context, string, time.Time, time.Time, time.Duration) ([]metrics.Series, error) {
	return nil, nil
}

func TestCost(t *testing.T) {
	a := start(t, func(o *Options) {
		o.Metrics = figures{"process_cpu_seconds": 0.5, "process_resident": 1 << 20, "ejections_active": 2, "quantile(0.5,": 0.2, "quantile(0.99,": 1.5, "spans_dropped": 7}
		o.Losses = func() []Loss {
			return []Loss{{Where: "collector", What: "x", Count: 3}, {Where: "collector", What: "never"}}
		}
	})
	got, err := a.readStored(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a.stored.Store(got)
	want := []graph.Outlier{{Node: "n1", Host: "catalog.cinema.svc.cluster.local", Subset: "v1", Ejected: 2}}
	if diff := cmp.Diff(want, got.outs); diff != "" {
		t.Errorf("outliers (-want +got):\n%s", diff)
	}
	var o api.Overview
	get(t, a.Addrs().API, "/api/v1/overview", &o)
	if c := o.Cost; c.CPUCores != 0.5 || c.MemoryBytes != 1<<20 || *c.AddedP50MS != 0.2 || *c.AddedP99MS != 1.5 || c.CPUUSPerRequest != nil {
		t.Errorf("cost %+v", c)
	}
	var status api.Status
	get(t, a.Addrs().API, "/api/v1/status", &status)
	if len(status.Losses) != 2 || status.Counts.Dropped != 10 || status.Losses[0].Where != "sidecars" {
		t.Errorf("losses %+v", status.Losses)
	}
	broken := &App{opts: Options{Metrics: figures{"process_cpu": -1}}}
	if _, err := broken.readStored(t.Context(), time.Now()); !errors.Is(err, mesh.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

func TestUnreadTargetsAreStale(t *testing.T) {
	since := time.Now().Add(-time.Second)
	a := start(t, func(o *Options) {
		o.Targets = func() []TargetStatus { return nil }
		o.Unread = func() []graph.Stale {
			return []graph.Stale{{Source: "mesh.json", Since: since, Reason: "no such file"}}
		}
	})
	var view graph.View
	get(t, a.Addrs().API, "/api/v1/graph", &view)
	if len(view.Stale) != 1 || view.Stale[0].Source != "mesh.json" || view.Stale[0].Reason != "no such file" {
		t.Errorf("stale %+v", view.Stale)
	}
}

func TestNothingComes(t *testing.T) {
	var i intake
	began := time.Now()
	for _, tc := range []struct {
		after       time.Duration
		last        time.Duration // after began; 0 = never
		interval    time.Duration
		silent, nev bool
	}{
		{5 * time.Second, 0, 0, false, true},
		{11 * time.Second, 0, 0, true, true},
		{30 * time.Second, 25 * time.Second, time.Second, false, false},
		{60 * time.Second, 25 * time.Second, time.Second, true, false},
		{60 * time.Second, 25 * time.Second, 15 * time.Second, false, false},
	} {
		i.last, i.interval = time.Time{}, tc.interval
		if tc.last > 0 {
			i.last = began.Add(tc.last)
		}
		if _, never, silent := i.silence(began, began.Add(tc.after)); silent != tc.silent || never != tc.nev {
			t.Errorf("%+v: silent %v, never %v", tc, silent, never)
		}
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free := func() Options {
		return Options{ConfigDir: t.TempDir(), API: "127.0.0.1:0", Admin: "127.0.0.1:0", XDS: "127.0.0.1:0", Secure: "127.0.0.1:0"}
	}
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"API":           {func(o *Options) { o.API = taken.Addr().String() }, []string{taken.Addr().String(), "another program has that port", "--api", "--port"}},
		"admin":         {func(o *Options) { o.Admin = taken.Addr().String() }, []string{"--admin"}},
		"configuration": {func(o *Options) { o.XDS = taken.Addr().String() }, []string{"--grpc"}},
		"nonsense":      {func(o *Options) { o.API = "not an address" }, []string{"not an address", "--api"}},
		"not ours":      {func(o *Options) { o.API = "192.0.2.1:80" }, []string{"no such address", "--api"}},
		"no folder":     {func(o *Options) { o.ConfigDir = "" }, []string{"--config-dir"}},
		"hosts":         {func(o *Options) { o.Hosts = []string{"http://x"} }, []string{"--allowed-hosts"}},
	} {
		opts := free()
		tc.change(&opts)
		_, err := New(opts)
		for _, want := range tc.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// Garbage on each port is refused, and everything goes on.
func TestGarbage(t *testing.T) {
	a := start(t, nil)
	addr := a.Addrs()
	for _, address := range []string{addr.API, addr.Admin, addr.XDS} {
		for _, garbage := range []string{"\x00\x01\x02\x03\r\n\r\n", "GET\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 200) + "\r\n"} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = c.Write([]byte(garbage))
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}
	if get(t, addr.API, "/api/v1/status", nil) != 200 || get(t, addr.Admin, "/healthz", nil) != 200 {
		t.Error("the server does not answer any more")
	}
}
