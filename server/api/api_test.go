package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
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
		Nodes: []graph.Node{
			{ID: "workload:cinema/web", Kind: graph.KindWorkload, Namespace: "cinema", Name: "web", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, RPSSeries: []float64{}},
			{ID: "service:catalog.cinema.svc.cluster.local", Kind: graph.KindService, Namespace: "cinema", Name: "catalog", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, In: graph.Traffic{RPS: 7}},
		},
		Edges: []graph.Edge{{ID: "a>b:http", Source: "a", Target: "b", Protocol: mesh.HTTP, RPS: p.rps}},
		Stale: []graph.Stale{}, Totals: graph.Totals{RPS: p.rps, P95MS: &p95},
	}
	if p.called {
		v.Nodes = append(v.Nodes,
			graph.Node{ID: "workload:cinema/catalog-v1", Kind: graph.KindWorkload, Namespace: "cinema", Name: "catalog-v1", Health: graph.Health{State: graph.OK, Reasons: []graph.Reason{}}, RPSSeries: []float64{}},
			graph.Node{ID: "namespace:cinema", Kind: graph.KindNamespace, Namespace: "cinema", Name: "cinema", In: graph.Traffic{RPS: 9}})
		v.Edges = append(v.Edges,
			calls("workload:cinema/web", "workload:cinema/catalog-v1", 3), calls("unknown", "workload:cinema/catalog-v1", 4),
			calls("unknown", "service:catalog.cinema.svc.cluster.local", 4), calls("namespace:shop", "namespace:cinema", 1))
	}
	for i := range p.big {
		v.Nodes = append(v.Nodes, graph.Node{ID: fmt.Sprint("n", i), Name: strings.Repeat("x", 64), RPSSeries: []float64{p.rps}})
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

func calls(source, target string, rps float64) graph.Edge {
	return graph.Edge{
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
			{ID: "web-1", Workload: mesh.Workload{Namespace: "cinema", Name: "web"}, State: skew.Synced, Connected: true},
		},
	}
}

func (nodes) Node(id string, _ time.Time) (skew.NodeDetail, bool) {
	return skew.NodeDetail{NodeStatus: skew.NodeStatus{ID: id}}, id == "web-1" || id == "odd/~node"
}

func (nodes) History(id string, _ time.Duration, _ time.Time) ([]skew.Transition, bool) {
	return nil, id == "web-1"
}

func (nodes) Lacking(time.Time) []skew.Lack { return nil }

func (nodes) Lineage(objects []string, at time.Time) []skew.LineageNode {
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

// serve starts the API over p on a real port.
func serve(t *testing.T, p *parts, change func(*Options)) (*Server, string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	p.sent = make(chan *meshv1.ServerMessage, 100)
	hub := tap.New(tap.Options{Agents: p, Logger: log})
	opts := Options{
		Graph: p, Nodes: nodes{}, Config: configs{p}, Mesh: p, Tap: hub, Traces: traceStore{p}, Logger: log,
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
func TestAnswers(t *testing.T) {
	_, url := serve(t, &parts{rps: 5}, nil)
	for path, keys := range map[string]string{
		"/api/v1/graph": "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph?group=service&namespaces=a,b&window=1m&q=web":        "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph?at=2020-01-01T00:00:00Z":                             "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph/diff?from=2020-01-01T00:00:00Z&group=app":            "from to window_s group nodes edges markers",
		"/api/v1/timeline?window=10m":                                       "from step_s rps errors_per_s markers",
		"/api/v1/overview":                                                  "at findings totals namespaces services error_edges objectives coverage convergence cost",
		"/api/v1/nodes":                                                     "at epoch seq desired summary spread nodes",
		"/api/v1/nodes/web-1":                                               "id workload kind build state since reason connected revision behind lag_s push history identity lives resources connections",
		"/api/v1/nodes/odd%2F~node":                                         "id workload kind build state since reason connected revision behind lag_s push history identity lives resources connections",
		"/api/v1/config/objects":                                            "objects lacking",
		"/api/v1/config/objects/virtualservice/cinema/catalog":              "kind api_version namespace name source line yaml revision",
		"/api/v1/config/revisions":                                          "revisions",
		"/api/v1/config/revisions/7":                                        "number at by source summary objects hash",
		"/api/v1/config/problems":                                           "problems",
		"/api/v1/namespaces":                                                "at items",
		"/api/v1/workloads":                                                 "at items",
		"/api/v1/services":                                                  "at items",
		"/api/v1/namespaces/cinema?window=1m":                               "at window_s " + namespaceKeys + " workload_items service_items inbound outbound",
		"/api/v1/workloads/cinema/web":                                      "at window_s " + workloadKeys + " inbound outbound proxies not_held ejecting",
		"/api/v1/services/catalog.cinema.svc.cluster.local":                 "at window_s " + serviceKeys + " inbound outbound instances ejections ejection_log",
		"/api/v1/traces":                                                    "traces total_scanned complete",
		"/api/v1/traces/1":                                                  "trace_id start duration_ms spans critical_path origins gaps calls services problems",
		"/api/v1/traces/compare?a=1&b=service%3Dweb%26percentile%3D50..100": "finding a b operations values",
		"/api/v1/traces/propagation?workload=cinema/web&limit=10":           "from to traces workloads",
		"/api/v1/traces/services":                                           "services",
		"/api/v1/traces/operations?service=a":                               "operations",
		"/api/v1/tap/sessions":                                              "sessions",
		"/api/v1/status":                                                    "version started_at uptime_s mode counts losses targets",
	} {
		resp, body := call(t, "GET", url+path, "")
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %d %s: %v", path, resp.StatusCode, body, err)
			continue
		}
		for k := range strings.FieldsSeq(keys) {
			if _, ok := got[k]; !ok {
				t.Errorf("%s lacks %q", path, k)
			}
			delete(got, k)
		}
		if len(got) > 0 {
			t.Errorf("%s has more than the contract: %v", path, got)
		}
		if cc := resp.Header.Get("Cache-Control"); cc != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, cc)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/nodes/web-1/history?window=5m": "[]\n",
		"/api/v1/sd":                            "[]\n",
		"/api/v1/config/objects?kind=ServiceEntry&namespace=cinema": `{"objects":[],"lacking":[]}` + "\n",
		"/prometheus/api/v1/query":                                  "GET /api/v1/query",
		"/":                                                         "ui /",
		"/nodes/web-1":                                              "ui /nodes/web-1",
	} {
		if resp, body := call(t, "GET", url+path, ""); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, resp.StatusCode, body, want)
		}
	}
}

func TestGraphQuery(t *testing.T) {
	p := &parts{}
	_, url := serve(t, p, nil)
	_, body := call(t, "GET", url+"/api/v1/graph?group=app&namespaces=b,a,,a&window=90s&q=web&hide=idle&filter=rps%3E1&max=400&expand=y,x&focus=workload:a/b&hops=3&services=true", "")
	q := p.queries[0]
	if q.Group != graph.ByApp || !slices.Equal(q.Namespaces, []string{"a", "b"}) || q.Window != 90*time.Second || q.Find == nil || q.Hide == nil || q.Filter == nil ||
		q.Most != 400 || !slices.Equal(q.Expand, []string{"x", "y"}) || q.Focus != "workload:a/b" || q.Hops != 3 || !q.ServiceNodes {
		t.Errorf("asked %+v", q)
	}
	if !strings.Contains(body, `"stale":[{"source":"collector"`) {
		t.Errorf("what is missing is not said: %s", body)
	}
}

func TestTraceQuery(t *testing.T) {
	p := &parts{}
	_, url := serve(t, p, nil)
	call(t, "GET", url+"/api/v1/traces?service=s&operation=o&workload=a/b&source=a/c&target=a/d&route=r&status=5XX&errors=true&min_ms=1.5&max_ms=20&limit=7&tag=a=b&tag=c=d=e&from=2026-01-02T03:04:05Z", "")
	q := p.search
	if q.Service != "s" || q.Workload != "a/b" || q.Source != "a/c" || q.Target != "a/d" || q.Status != "5xx" || !q.Errors ||
		q.MinDuration != 1500*time.Microsecond || q.MaxDuration != 20*time.Millisecond || q.Limit != 7 ||
		q.Tags["a"] != "b" || q.Tags["c"] != "d=e" || q.From.Year() != 2026 {
		t.Errorf("asked %+v", q)
	}
	if ago := time.Since(q.To); ago < arrivalTime || ago > time.Minute {
		t.Errorf("searches until %s ago, want what is still coming in left out", ago)
	}
	call(t, "GET", url+"/api/v1/traces?to=2026-01-02T03:04:05Z", "")
	if p.search.To.Year() != 2026 || p.search.To.Month() != 1 {
		t.Errorf("asked until %v, want the time that was given", p.search.To)
	}
}

func TestOverview(t *testing.T) {
	_, url := serve(t, &parts{}, nil)
	_, body := call(t, "GET", url+"/api/v1/overview", "")
	var o Overview
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatal(err)
	}
	c := o.Convergence
	if c.Revision != 7 || c.Nodes != 2 || c.Synced != 1 || *c.AppliedP50MS != 20 || *c.AppliedP99MS != 400 || len(c.NotSynced) != 1 || o.Cost.Proxies != 2 {
		t.Errorf("got %+v", o)
	}
	if len(o.Findings) < 2 || o.Findings[0].Severity != graph.Fail || !strings.Contains(o.Findings[0].Text, "web-2 is rejected: refused cluster x") {
		t.Errorf("findings %+v", o.Findings)
	}
}

func TestConfigChanges(t *testing.T) {
	p := &parts{}
	_, url := serve(t, p, nil)
	objects := url + "/api/v1/config/objects"
	resp, body := call(t, "PUT", objects, "kind: x", "X-Sidelight-User", "ann")
	if resp.StatusCode != 200 || !strings.Contains(body, `"revision":{"number":8`) || !strings.Contains(body, `"warnings":[]`) || p.applied != "kind: x" || p.by != "ann" {
		t.Errorf("put: %d %s by %q", resp.StatusCode, body, p.by)
	}
	resp, body = call(t, "PUT", objects, "bad")
	if resp.StatusCode != 400 || !strings.Contains(body, `"problems":[{"severity":"error","code":"SL1006"`) || !strings.Contains(body, `"hint":"Did you mean http?"`) {
		t.Errorf("bad put: %d %s", resp.StatusCode, body)
	}
	resp, body = call(t, "DELETE", objects+"/VirtualService/cinema/catalog", "")
	if resp.StatusCode != 200 || !strings.Contains(body, `"revision":null`) || p.by != "127.0.0.1" {
		t.Errorf("delete: %d %s by %q", resp.StatusCode, body, p.by)
	}
	resp, body = call(t, "POST", url+"/api/v1/config/validate", "kind: x")
	if resp.StatusCode != 200 || body != "{\"problems\":[]}\n" {
		t.Errorf("validate: %d %s", resp.StatusCode, body)
	}
}

func TestErrors(t *testing.T) {
	_, url := serve(t, &parts{}, nil)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for _, tc := range []struct {
		method, path, body  string
		header              []string
		status              int
		code, message, hint string
	}{
		{"GET", "/api/v1/graph?windw=30s", "", nil, 400, "invalid", `unknown parameter "windw"`, `Did you mean "window"?`},
		{"GET", "/api/v1/graph?zzzzzzz=1", "", nil, 400, "invalid", `unknown parameter "zzzzzzz"`, "There are group, namespaces"},
		{"GET", "/api/v1/nodes?x=1", "", nil, 400, "invalid", `unknown parameter "x"`, "There are none here."},
		{"GET", "/api/v1/graph?window=30s&window=1m", "", nil, 400, "invalid", "given 2 times", ""},
		{"GET", "/api/v1/graph?window=long", "", nil, 400, "invalid", `parameter "window" is "long", not a duration`, "30s"},
		{"GET", "/api/v1/graph?window=1s", "", nil, 400, "invalid", "is 1s, must be 5s to 1h", ""},
		{"GET", "/api/v1/graph?at=yesterday", "", nil, 400, "invalid", "not an RFC 3339 time", ""},
		{"GET", "/api/v1/graph?at=" + future, "", nil, 400, "invalid", "which is to come", ""},
		{"GET", "/api/v1/graph?at=1999-01-01T00:00:00Z", "", nil, 503, "unavailable", "no store", ""},
		{"GET", "/api/v1/graph/diff", "", nil, 400, "invalid", `parameter "from" is missing`, "from="},
		{"GET", "/api/v1/graph/diff?from=" + future, "", nil, 400, "invalid", "not before to", ""},
		{"GET", "/api/v1/graph?group=workloads", "", nil, 400, "invalid", `group is "workloads"`, `Did you mean "workload"?`},
		{"GET", "/api/v1/graph?q=(", "", nil, 400, "invalid", "q: at ", ""},
		{"GET", "/api/v1/graph?hide=(", "", nil, 400, "invalid", "hide: at ", ""},
		{"GET", "/api/v1/graph?hops=99", "", nil, 400, "invalid", "must be 1 to 20", ""},
		{"GET", "/api/v1/graph?q=%zz", "", nil, 400, "invalid", "the query cannot be read", ""},
		{"GET", "/api/v1/timeline?window=2h", "", nil, 400, "invalid", "must be 1m to 1h", ""},
		{"GET", "/api/v1/nodes/nobody", "", nil, 404, "not_found", `node "nobody" is not known`, "GET /api/v1/nodes"},
		{"GET", "/api/v1/namespaces/nowhere", "", nil, 404, "not_found", `namespace "nowhere" is not known`, "GET /api/v1/namespaces"},
		{"GET", "/api/v1/workloads/cinema/nobody", "", nil, 404, "not_found", `workload "cinema/nobody" is not known`, "GET /api/v1/workloads"},
		{"GET", "/api/v1/services/nobody.example", "", nil, 404, "not_found", `service "nobody.example" is not known`, "GET /api/v1/services"},
		{"GET", "/api/v1/services?namespce=x", "", nil, 400, "invalid", `unknown parameter "namespce"`, `"namespace"`},
		{"GET", "/api/v1/nodes/nobody/history", "", nil, 404, "not_found", "not known", ""},
		{"GET", "/api/v1/config/objects?kind=VirtualServce", "", nil, 400, "invalid", `kind "VirtualServce"`, "VirtualService"},
		{"GET", "/api/v1/config/objects/VirtualService/cinema/gone", "", nil, 404, "not_found", "VirtualService cinema/gone", ""},
		{"GET", "/api/v1/config/revisions?limit=0", "", nil, 400, "invalid", "must be 1 to 1000", ""},
		{"GET", "/api/v1/config/revisions?limit=x", "", nil, 400, "invalid", "not a whole number", ""},
		{"GET", "/api/v1/config/revisions/9", "", nil, 404, "not_found", "revision 9", ""},
		{"GET", "/api/v1/config/revisions/x", "", nil, 400, "invalid", `revision "x" is not a number`, ""},
		{"PUT", "/api/v1/config/objects", "", nil, 400, "invalid", "the body is empty", "YAML"},
		{"PUT", "/api/v1/config/objects", "conflict", nil, 409, "conflict", "file changed", ""},
		{"PUT", "/api/v1/config/objects", "broken", nil, 500, "internal", "internal error", "log"},
		{"PUT", "/api/v1/config/objects", "x", []string{"X-Sidelight-User", strings.Repeat("a", 129)}, 400, "invalid", "X-Sidelight-User", ""},
		{"PUT", "/api/v1/config/objects", strings.Repeat("x", maxBody+1), nil, 413, "invalid", "larger than 4194304 bytes", ""},
		{"GET", "/api/v1/traces?status=600", "", nil, 400, "invalid", `"600", not an HTTP status`, "5xx"},
		{"GET", "/api/v1/traces?min_ms=abc", "", nil, 400, "invalid", "number of milliseconds", ""},
		{"GET", "/api/v1/traces?min_ms=NaN", "", nil, 400, "invalid", "number of milliseconds", ""},
		{"GET", "/api/v1/traces?min_ms=5&max_ms=1", "", nil, 400, "invalid", "min_ms is greater", ""},
		{"GET", "/api/v1/traces?errors=maybe", "", nil, 400, "invalid", "truth value", ""},
		{"GET", "/api/v1/traces?workload=web", "", nil, 400, "invalid", "not namespace/name", ""},
		{"GET", "/api/v1/traces?tag=x", "", nil, 400, "invalid", "not key=value", ""},
		{"GET", "/api/v1/traces?service=slow", "", nil, 503, "unavailable", "search traces", "too long"},
		{"GET", "/api/v1/traces/2", "", nil, 404, "not_found", "get trace: trace 2", ""},
		{"GET", "/api/v1/traces/zz", "", nil, 400, "invalid", "not hex", ""},
		{"GET", "/api/v1/traces/operations", "", nil, 400, "invalid", `"service" is missing`, ""},
		{"DELETE", "/api/v1/tap/sessions/none", "", nil, 404, "not_found", `open tap session "none"`, "GET /api/v1/tap/sessions"},
		{"GET", "/api/v1/grahp", "", nil, 404, "not_found", "nothing at /api/v1/grahp", ""},
		{"GET", "/api/", "", nil, 404, "not_found", "nothing at /api/", ""},
		{"GET", "/healthz", "", nil, 404, "not_found", "/healthz", "--admin"},
		{"GET", "/metrics", "", nil, 404, "not_found", "/metrics", "--admin"},
		{"GET", "/debug/pprof/heap", "", nil, 404, "not_found", "/debug/pprof/heap", "--admin"},
		{"DELETE", "/api/v1/graph", "", nil, 405, "invalid", "does not take DELETE", ""},
		{"POST", "/", "", nil, 405, "invalid", "does not take POST", ""},
		{"GET", "/jaeger/api/services", "", nil, 503, "unavailable", "no store behind /jaeger", "sidelight run"},
		{"GET", "/api/v1/live", "", nil, 400, "invalid", "not a WebSocket handshake", ""},
		{"GET", "/api/v1/status", "", []string{"Host", "evil.example"}, 403, "invalid", `host "evil.example"`, "--allowed-hosts"},
		{"GET", "/", "", []string{"Host", "evil.example:8430"}, 403, "invalid", "not one of this server's names", ""},
		{"PUT", "/api/v1/config/objects", "x", []string{"Origin", "https://evil.example"}, 403, "invalid", `origin "https://evil.example"`, "--allowed-hosts"},
		{"PUT", "/api/v1/config/objects", "x", []string{"Origin", "null"}, 403, "invalid", `origin "null"`, ""},
		{"GET", "/api/v1/live", "", []string{"Origin", "https://evil.example"}, 403, "invalid", "origin", ""},
	} {
		name := tc.method + " " + tc.path
		resp, body := call(t, tc.method, url+tc.path, tc.body, tc.header...)
		var got errorBody
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %d %s: %v", name, resp.StatusCode, body, err)
			continue
		}
		if resp.StatusCode != tc.status || got.Error.Code != tc.code || !strings.Contains(got.Error.Message, tc.message) ||
			!strings.Contains(got.Error.Hint, tc.hint) || got.Error.Hint == "" {
			t.Errorf("%s: got %d %+v", name, resp.StatusCode, got.Error)
		}
		if strings.HasSuffix(got.Error.Message, ": invalid") || strings.HasSuffix(got.Error.Message, ": not found") {
			t.Errorf("%s: the kind shows in the message: %q", name, got.Error.Message)
		}
		if strings.Contains(body, "disk on fire") {
			t.Errorf("%s: tells internals", name)
		}
	}
}

func TestHosts(t *testing.T) {
	_, url := serve(t, &parts{}, func(o *Options) { o.Hosts = []string{"Mesh.Example.com", "other.example:9000"} })
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8430": 200, "LOCALHOST": 200, "ui.localhost:1": 200, "127.0.0.1": 200, "127.9.9.9:80": 200,
		"[::1]:8430": 200, "mesh.example.com": 200, "mesh.example.com:443": 200, "MESH.example.com.": 200,
		"other.example:9000": 200, "other.example": 403, "other.example:1": 403, "10.0.0.1": 403, "localhost.evil.example": 403,
		"127.0.0.1.evil.example": 403, "evil.example": 403,
	} {
		if resp, body := call(t, "GET", url+"/api/v1/status", "", "Host", host); resp.StatusCode != want {
			t.Errorf("host %q: %d %s, want %d", host, resp.StatusCode, body, want)
		}
	}
	for origin, want := range map[string]int{
		"http://localhost:1": 403, "https://mesh.example.com": 200, strings.Replace(url, "http://", "https://", 1): 200, "garbage": 403,
	} {
		if resp, body := call(t, "POST", url+"/api/v1/config/validate", "x", "Origin", origin); resp.StatusCode != want {
			t.Errorf("origin %q: %d %s, want %d", origin, resp.StatusCode, body, want)
		}
	}
	for _, bad := range []string{"", "https://mesh.example.com", "*.example.com", "a b"} {
		if _, err := New(Options{Hosts: []string{bad}, Logger: slog.New(slog.DiscardHandler)}); !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), "--allowed-hosts") {
			t.Errorf("host %q: %v", bad, err)
		}
	}
}

func TestHeadersAndCompression(t *testing.T) {
	_, url := serve(t, &parts{big: 100}, nil)
	for _, path := range []string{"/", "/api/v1/status", "/api/v1/nope", "/jaeger/x"} {
		resp, _ := call(t, "GET", url+path, "")
		for _, h := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
			if resp.Header.Get(h) == "" {
				t.Errorf("%s has no %s", path, h)
			}
		}
	}
	resp, body := call(t, "GET", url+"/api/v1/graph", "", "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" || len(body) > 4000 {
		t.Errorf("%d bytes of %q", len(body), resp.Header.Get("Content-Encoding"))
	}
	if resp, _ := call(t, "GET", url+"/api/v1/graph", "", "Accept-Encoding", "identity"); resp.Header.Get("Content-Encoding") != "" {
		t.Error("compressed although it was not asked for")
	}
}

func TestWithoutStores(t *testing.T) {
	_, url := serve(t, &parts{}, func(o *Options) { o.Traces, o.Prometheus, o.UI = nil, nil, nil })
	for path, status := range map[string]int{
		"/api/v1/traces": 503, "/api/v1/traces/1": 503, "/api/v1/traces/propagation": 503, "/api/v1/traces/services": 503,
		"/api/v1/traces/operations?service=a": 503, "/prometheus/api/v1/query": 503, "/": 404,
	} {
		if resp, body := call(t, "GET", url+path, ""); resp.StatusCode != status || !strings.Contains(body, `"hint":"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}
