package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts is a small mesh behind the API: every port, answering by heart.
type parts struct {
	mu      sync.Mutex
	rps     float64
	big     int  // extra nodes in each view
	called  bool // views hold more of the mesh, and calls in it
	views   int
	queries []graph.Query
	search  traces.Query
	applied string
	by      string

	hello func(mesh.Node)
	tapIn func(string, *meshv1.TapBatch)
	sent  chan *meshv1.ServerMessage
}

func (p *parts) View(q graph.Query, at time.Time) graph.View {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.views++
	p.queries = append(p.queries, q)
	p95 := 12.5
	v := graph.View{
		Epoch: "e", At: at, WindowS: q.Window.Seconds(), Group: q.Group,
		Nodes: []*graph.Node{
			{ID: "workload:cinema/web", Kind: graph.KindWorkload, Namespace: "cinema", Name: "web", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, RPSSeries: []float64{}},
			{ID: "service:catalog.cinema.svc.cluster.local", Kind: graph.KindService, Namespace: "cinema", Name: "catalog", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, In: graph.Traffic{RPS: 7}},
		},
		Edges: []*graph.Edge{{ID: "a>b:http", Source: "a", Target: "b", Protocol: mesh.HTTP, RPS: p.rps}},
		Stale: []graph.Stale{}, Totals: graph.Totals{RPS: p.rps, P95MS: &p95},
	}
	if p.called {
		v.Nodes = append(v.Nodes,
			&graph.Node{ID: "workload:cinema/catalog-v1", Kind: graph.KindWorkload, Namespace: "cinema", Name: "catalog-v1", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, RPSSeries: []float64{}},
			&graph.Node{ID: "namespace:cinema", Kind: graph.KindNamespace, Namespace: "cinema", Name: "cinema", In: graph.Traffic{RPS: 9}})
		v.Edges = append(v.Edges,
			calls("workload:cinema/web", "workload:cinema/catalog-v1", 3), calls("unknown", "workload:cinema/catalog-v1", 4),
			calls("unknown", "service:catalog.cinema.svc.cluster.local", 4), calls("namespace:shop", "namespace:cinema", 1))
	}
	for i := range p.big {
		v.Nodes = append(v.Nodes, &graph.Node{ID: fmt.Sprint("n", i), Name: strings.Repeat("x", 64), RPSSeries: []float64{p.rps}})
	}
	return v
}

func (p *parts) Since() time.Time { return time.Now().Add(-time.Hour) }

func (p *parts) Past(_ context.Context, q graph.Query, at time.Time) (graph.View, error) {
	if at.Year() < 2000 {
		return graph.View{}, fmt.Errorf("no store: %w", mesh.ErrUnavailable)
	}
	v := p.View(q, at)
	v.Epoch = "past"
	return v, nil
}

func calls(source, target string, rps float64) *graph.Edge {
	return &graph.Edge{
		ID: source + ">" + target + ":http", Source: source, Target: target, Protocol: mesh.HTTP, RPS: rps,
		Service: &mesh.Service{Host: "catalog.cinema.svc.cluster.local"},
	}
}

func (*parts) Standings(time.Time) []graph.Standing { return nil }

func (p *parts) Timeline(window time.Duration, until time.Time, m []graph.Marker) graph.Timeline {
	return graph.Timeline{From: until.Add(-window), StepS: 10, RPS: []float64{1}, ErrorsPerS: []float64{0}, Markers: m}
}

type nodes struct{}

func (nodes) View(at time.Time) skew.NodesView {
	return skew.NodesView{
		At: at, Desired: &mesh.Revision{Number: 7}, Summary: skew.Summary{Nodes: 2, Synced: 1},
		Spread: skew.Spread{AppliedMS: []float64{10, 20, 400}},
		Nodes: []skew.NodeStatus{
			{ID: "web-2", Workload: mesh.Workload{Namespace: "cinema", Name: "web"}, State: skew.Rejected, Reason: "refused cluster x"},
			{ID: "web-1", Workload: mesh.Workload{Namespace: "cinema", Name: "web"}, State: skew.Synced, Revision: 7, Connected: true},
		},
	}
}

func (nodes) Node(id string, _ time.Time) (skew.NodeDetail, bool) {
	return skew.NodeDetail{NodeStatus: skew.NodeStatus{ID: id}}, id == "web-1" || id == "odd/~node"
}

func (nodes) History(id string, _ time.Duration, _ time.Time) ([]skew.Transition, bool) {
	return nil, id == "web-1"
}

func (nodes) Lacking(map[string]uint64, time.Time) []skew.Lack { return nil }

func (nodes) Lineage(objects []string, _ uint64, at time.Time) []skew.LineageNode {
	part := func(s skew.State) []skew.LineagePart {
		return []skew.LineagePart{{Type: "cluster", Name: "a", State: skew.Synced}, {Type: "route", Name: "outbound", State: s}}
	}
	return []skew.LineageNode{
		{ID: "web-1", Connected: true, Has: true, State: skew.Synced, Resources: part(skew.Synced)},
		{ID: "web-2", Connected: true, State: skew.Rejected, Reason: "refused route outbound", Resources: part(skew.Rejected)},
		{ID: "web-3", State: skew.Disconnected, Resources: part(skew.Disconnected)},
	}
}

var catalogKey = config.Key{Kind: config.KindVirtualService, Namespace: "cinema", Name: "catalog"}

type configs struct{ *parts }

func (c configs) Objects() []*config.Object {
	return []*config.Object{{Kind: catalogKey.Kind, Namespace: "cinema", Name: "catalog"}, {Kind: config.KindServiceEntry, Namespace: "bank", Name: "bank"}}
}

func (c configs) Object(key config.Key) (*config.Object, error) {
	if key != catalogKey {
		return nil, fmt.Errorf("%s: %w", key, mesh.ErrNotFound)
	}
	return c.Objects()[0], nil
}
func (configs) Problems() []config.Problem { return nil }
func (configs) Revisions(limit int) []mesh.Revision {
	return make([]mesh.Revision, min(limit, 3))
}

func (configs) Revision(n uint64) (mesh.Revision, error) {
	if n != 7 {
		return mesh.Revision{}, fmt.Errorf("revision %d: %w", n, mesh.ErrNotFound)
	}
	return mesh.Revision{Number: 7}, nil
}

func (c configs) Apply(_ context.Context, yaml []byte, by string) (config.Applied, error) {
	c.applied, c.by = string(yaml), by
	switch string(yaml) {
	case "bad":
		return config.Applied{}, fmt.Errorf("apply: %w", &config.InvalidError{Problems: []config.Problem{
			{Severity: config.SeverityError, Code: "SL1006", Line: 3, Path: "spec.htp", Message: "unknown field", Hint: "Did you mean http?"},
		}})
	case "conflict":
		return config.Applied{}, fmt.Errorf("apply: file changed: %w", mesh.ErrConflict)
	case "broken":
		return config.Applied{}, errors.New("disk on fire")
	}
	return config.Applied{Revision: &mesh.Revision{Number: 8}}, nil
}

func (c configs) Delete(_ context.Context, key config.Key, by string) (config.Applied, error) {
	c.by = by
	_, err := c.Object(key)
	return config.Applied{}, err
}
func (configs) Validate([]byte) []config.Problem { return nil }

func (configs) Diff(from, to uint64) ([]config.ObjectDiff, error) {
	if from != 7 || to != 7 {
		return nil, fmt.Errorf("content of revision %d: %w", from, mesh.ErrNotFound)
	}
	return nil, nil
}

func (configs) Decode(yaml []byte) ([]*config.Object, error) {
	return []*config.Object{{Kind: catalogKey.Kind, Namespace: "cinema", Name: string(yaml), Hash: ""}}, nil
}
func (configs) DiffText([]byte) ([]config.ObjectDiff, error) { return nil, nil }

func (c configs) Rollback(_ context.Context, n uint64, by string) (config.Applied, error) {
	c.by = by
	if n != 7 {
		return config.Applied{}, fmt.Errorf("content of revision %d: %w", n, mesh.ErrNotFound)
	}
	return config.Applied{Revision: &mesh.Revision{Number: 8}}, nil
}

func (p *parts) Services() []ServiceEntry {
	return []ServiceEntry{{
		Service: mesh.Service{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"}, Endpoints: 2,
		List:      []Endpoint{{Address: "10.0.0.1", Workload: "cinema/catalog-v1"}, {Address: "10.0.0.2"}},
		Workloads: []string{"cinema/catalog-v1"}, Instances: map[string]int{"cinema/web": 3},
	}}
}

func (p *parts) Markers(from, _ time.Time) []graph.Marker {
	return []graph.Marker{{At: from, Kind: "config", Text: "x"}}
}
func (p *parts) Cost() Cost { return Cost{Proxies: 2} }
func (p *parts) NodeCosts() map[string]Cost {
	return map[string]Cost{"web-1": {CPUCores: 0.5, MemoryBytes: 1 << 20}, "web-2": {CPUCores: 9}}
}

func (p *parts) Outliers() []graph.Outlier {
	return []graph.Outlier{
		{Node: "web-1", Caller: "cinema/web", Host: "catalog.cinema.svc.cluster.local", Subset: "v1", Ejected: 1},
		{Node: "web-1", Caller: "cinema/web", Host: "other", Breaker: "requests"},
	}
}

func (p *parts) Ejections(host string) []EjectionEvent {
	if host != "catalog.cinema.svc.cluster.local" {
		return []EjectionEvent{}
	}
	return []EjectionEvent{{Node: "web-1", Caller: "cinema/web", Host: host, Endpoint: "10.0.0.1:80", Status: 503, Out: 1, Of: 2}}
}

func (p *parts) Policies() []graph.Policy {
	return []graph.Policy{{Object: "VirtualService cinema/catalog", Host: "catalog.cinema.svc.cluster.local"}, {Object: "AuthorizationPolicy cinema/web", Workloads: []string{"cinema/web"}}}
}

func (p *parts) Missing(at time.Time) []graph.Stale {
	return []graph.Stale{{Source: "collector", Since: at, Reason: "nothing has come"}}
}
func (p *parts) Status(at time.Time) Status    { return Status{StartedAt: at, Mode: "run"} }
func (p *parts) ScrapeTargets() []ScrapeTarget { return nil }

type traceStore struct{ *parts }

func (s traceStore) Search(_ context.Context, q traces.Query) (traces.SearchResult, error) {
	s.search = q
	if q.Service == "slow" {
		return traces.SearchResult{}, context.DeadlineExceeded
	}
	return traces.SearchResult{Complete: true}, nil
}

func (traceStore) Stream(context.Context, traces.Query) iter.Seq2[traces.Trace, error] {
	return func(yield func(traces.Trace, error) bool) {
		yield(traces.Trace{TraceID: "1", Spans: []traces.Span{{SpanID: "a", DurationUS: 10}}}, nil)
	}
}

func (traceStore) Get(_ context.Context, id string) (traces.Trace, error) {
	switch id {
	case "1":
		return traces.Trace{TraceID: id, Spans: []traces.Span{{SpanID: "a", DurationUS: 10}}}, nil
	case "zz":
		return traces.Trace{}, fmt.Errorf("trace ID %q is not hex: %w", id, mesh.ErrInvalid)
	}
	return traces.Trace{}, fmt.Errorf("trace %s: %w", id, mesh.ErrNotFound)
}
func (traceStore) Services(context.Context) ([]string, error)           { return nil, nil }
func (traceStore) Operations(context.Context, string) ([]string, error) { return nil, nil }
func (traceStore) Stats() traces.Stats                                  { return traces.Stats{} }

// The sidecars.
func (p *parts) Send(_ string, m *meshv1.ServerMessage) bool { p.sent <- m; return true }
func (p *parts) OnHello(f func(mesh.Node))                   { p.hello = f }
func (p *parts) OnGone(func(string))                         {}
func (p *parts) OnTap(f func(string, *meshv1.TapBatch))      { p.tapIn = f }

// stages are a real roll-out that nothing moves.
type stages struct{ machine *rollout.Machine }

func newStages() stages {
	return stages{rollout.New(rollout.Policy{}, nil, rollout.State{}, func(rollout.State) error { return nil })}
}

func (s stages) State() rollout.State { return s.machine.State() }
func (s stages) Hold(by, why string) (rollout.State, error) {
	return s.machine.Hold(by, why, time.Now())
}
func (s stages) Resume(by string) (rollout.State, error) { return s.machine.Resume(by, time.Now()) }

// serve starts the API over p on a real port.
func serve(t *testing.T, p *parts, change func(*Options)) (*Server, string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p.sent = make(chan *meshv1.ServerMessage, 100)
	hub := tap.New(tap.Options{Agents: p, Logger: log})
	opts := Options{
		Graph: p, Nodes: nodes{}, Stages: newStages(), Config: configs{p}, Mesh: p, Tap: hub, Traces: traceStore{p}, Logger: log,
		UI:         http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ui "+r.URL.Path) }),
		Prometheus: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method+" "+r.URL.Path) }),
	}
	if change != nil {
		change(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	running.Go(func() { hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		srv.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s, srv.URL
}

func call(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// Each address answers with the keys of the contract.
