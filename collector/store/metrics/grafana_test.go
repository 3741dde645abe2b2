package metrics

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"golang.org/x/tools/txtar"
)

const grafanaRules = `groups:
- name: g
  rules:
  - {record: "a:b", expr: sum(requests)}
  - {alert: Busy, expr: "a:b > 5", for: 1m, labels: {severity: warning}, annotations: {summary: too much}}
`

// TestRulesAPI lists a rule that fires, and one that fails.
func TestRulesAPI(t *testing.T) {
	s, base := apiStore(t)
	rules := s.Rules(RuleOptions{})
	problems := rules.Load([]RuleFile{{"f", []byte(`groups:
- name: g
  interval: 50ms
  rules:
  - {alert: Fires, expr: vector(3), labels: {severity: warning}, annotations: {summary: "is {{ $value }}"}}
  - {alert: Fails, expr: 'vector(1) * on () group_left () (label_replace(vector(1), "a", "b", "", "") or vector(1))'}
`)}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { rules.Run(ctx) })
	defer running.Wait()
	defer stop()

	var got struct {
		Data struct {
			Groups []struct{ Rules []apiRule }
			Alerts []apiAlert
		}
	}
	get := func(path string) {
		t.Helper()
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		get("/api/v1/rules")
		if r := got.Data.Groups[0].Rules; r[0].State == "firing" && r[1].Health == "err" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("rules are %+v", got.Data.Groups)
		}
	}
	r := got.Data.Groups[0].Rules
	if r[0].Health != "ok" || len(r[0].Alerts) != 1 || r[0].LastEvaluation.IsZero() || r[1].LastError == "" || r[1].State != "inactive" {
		t.Errorf("rules are %+v", r)
	}
	got.Data.Groups = nil
	get("/api/v1/rules?exclude_alerts=true&rule_name[]=Fires&rule_name[]=Nobody")
	if r := got.Data.Groups[0].Rules; len(r) != 1 || r[0].Name != "Fires" || r[0].State != "firing" || len(r[0].Alerts) > 0 {
		t.Errorf("one rule without its alerts: %+v", r)
	}
	get("/api/v1/alerts")
	want := apiAlert{Labels: map[string]string{"alertname": "Fires", "severity": "warning"}, Annotations: map[string]string{"summary": "is 3"}, State: "firing", Value: "3e+00"}
	if len(got.Data.Alerts) != 1 {
		t.Fatalf("alerts are %+v", got.Data.Alerts)
	}
	want.ActiveAt = got.Data.Alerts[0].ActiveAt
	if d := cmp.Diff(want, got.Data.Alerts[0]); d != "" || want.ActiveAt.IsZero() {
		t.Errorf("alert (-want +got):\n%s", d)
	}
}

// TestGrafana answers the requests that Grafana's Prometheus data source sends.
func TestGrafana(t *testing.T) {
	s, _ := apiStore(t)
	s.SetMetadata(func() []Metadata { return []Metadata{{Metric: "requests", Type: "counter", Help: "Requests."}} })
	app := s.AppenderV2(t.Context())
	at := epoch().Add(time.Minute)
	_, err := app.Append(0, labels.FromStrings("__name__", "requests", "to", "a"), 0, at.UnixMilli(), 4, nil, nil, storage.AOptions{
		Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"), Value: 0.25, Ts: at.UnixMilli(), HasTs: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		at := epoch().Add(time.Duration(i) * 15 * time.Second)
		serviceGraph := func(v float64, name string, more ...string) {
			write(t, s, at, v*float64(i*15), append([]string{"__name__", "traces_service_graph_request_" + name, "client", "web", "server", "catalog"}, more...))
		}
		serviceGraph(0.5, "total")
		serviceGraph(0.25, "server_seconds_sum")
		serviceGraph(0.125, "failed_total")
		// All in the bucket that ends at 1 s.
		writeHistogram(t, s, at, &histogram.Histogram{
			Schema: 2, Count: uint64(i * 15), Sum: float64(i * 15), PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{int64(i * 15)},
		}, "__name__", "traces_service_graph_request_server_seconds", "client", "web", "server", "catalog")
	}
	rules := s.Rules(RuleOptions{})
	if problems := rules.Load([]RuleFile{{"mine.yaml", []byte(grafanaRules)}}); len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(func() { // what was loaded waits to be run
		over, cancel := context.WithCancel(context.Background())
		cancel()
		rules.Run(over)
	})
	archive, err := txtar.ParseFile("testdata/grafana.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files)%2 != 0 || len(archive.Files) < 20 {
		t.Fatalf("%d parts: want requests and answers in turn", len(archive.Files))
	}
	for i := 0; i < len(archive.Files); i += 2 {
		request, answer := archive.Files[i], archive.Files[i+1]
		t.Run(request.Name, func(t *testing.T) {
			head, body, _ := strings.Cut(string(request.Data), "\n\n")
			body = strings.TrimSpace(body)
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\nHost: x\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n" + body)))
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if strconv.Itoa(w.Code) != answer.Name {
				t.Errorf("status %d, want %s", w.Code, answer.Name)
			}
			want := strings.ReplaceAll(strings.TrimSpace(string(answer.Data)), `"GO"`, `"`+runtime.Version()+`"`)
			if d := cmp.Diff(want, strings.TrimSpace(w.Body.String())); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
