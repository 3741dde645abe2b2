package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func TestAnswers(t *testing.T) {
	_, url := serve(t, &parts{rps: 5}, nil)
	for path, keys := range map[string]string{
		"/api/v1/graph": "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph?group=service&namespaces=a,b&window=1m&q=web":        "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph?at=2020-01-01T00:00:00Z":                             "epoch seq at window_s group nodes edges stale totals limits",
		"/api/v1/graph/diff?from=2020-01-01T00:00:00Z&group=app":            "from to window_s group nodes edges markers",
		"/api/v1/timeline?window=10m":                                       "from step_s rps errors_per_s markers",
		"/api/v1/overview":                                                  "at window_s findings totals namespaces services error_edges objectives coverage convergence cost",
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
