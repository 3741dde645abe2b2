package alert

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/dashboards"
	"github.com/sidelight-mesh/sidelight/server/statefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a service over a real store that is fed from a registry.
type bench struct {
	*testing.T
	service *Service
	trouble *prometheus.GaugeVec
	dir     string
}

const rule = `groups:
- name: test
  rules:
  - alert: Trouble
    expr: trouble == 1
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.node }} is in trouble"}
`

func start(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{T: t, dir: t.TempDir()}
	store, err := metrics.Open(metrics.Options{Dir: filepath.Join(b.dir, "metrics")})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	b.trouble = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "trouble"}, []string{"node"})
	registry.MustRegister(b.trouble)
	o := Options{Engine: store.Rules, Every: 100 * time.Millisecond, Resend: 200 * time.Millisecond, Reread: 50 * time.Millisecond, Files: []string{b.file("rules.yaml", rule)}}
	if change != nil {
		change(&o)
	}
	if b.service, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context() // ends before the cleanups run
	var running sync.WaitGroup
	running.Go(func() { b.service.Run(ctx) })
	running.Go(func() { metrics.Own{Store: store, Gatherer: registry, Interval: 50 * time.Millisecond}.Run(ctx) })
	t.Cleanup(func() {
		running.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) file(name, content string) string {
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// until waits for a view.
func (b *bench) until(what string, ok func(View) bool) View {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		v := b.service.View(time.Now())
		if ok(v) {
			return v
		}
		if time.Now().After(end) {
			b.Fatalf("never came: %s: %+v", what, v)
		}
	}
}

// inbox is a receiver. It answers 503 as often as it is told to.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	refuse int
	tries  int
	paths  []string
	bodies [][]byte
}

func newInbox(t *testing.T, refuse int) *inbox {
	in := &inbox{refuse: refuse}
	in.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		in.mu.Lock()
		defer in.mu.Unlock()
		if in.tries++; in.tries <= in.refuse {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		in.paths, in.bodies = append(in.paths, r.URL.Path), append(in.bodies, body)
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) all() ([]string, [][]byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]string(nil), in.paths...), append([][]byte(nil), in.bodies...)
}

// The life of an alert, from the store to an Alertmanager and a webhook, and
// to what is remembered.
func TestFromStoreToReceivers(t *testing.T) {
	am, hook := newInbox(t, 1), newInbox(t, 0)
	state := statefile.At(t.TempDir(), "alerts.json")
	b := start(t, func(o *Options) {
		o.Alertmanagers, o.Webhooks = []string{am.URL + "/am"}, []string{hook.URL + "/secret-token"}
		o.ExternalURL, o.State = "http://mesh.example.com", state
		o.Explain = func(a *About) string { return "known of " + a.Kind + " " + a.ID }
	})
	b.trouble.WithLabelValues("web-1").Set(1)
	v := b.until("firing", func(v View) bool { return v.Counts.Firing == 1 })
	a := v.Alerts[0]
	if a.State != Firing || a.Severity != "critical" || a.Summary != "web-1 is in trouble" || a.Detail != "known of node web-1" ||
		a.About == nil || *a.About != (About{"node", "web-1"}) || v.Counts.Critical != 1 || v.Rules[0].State != Firing {
		t.Errorf("alert %+v of %+v", a, v.Rules)
	}
	b.until("two resends taken by the Alertmanager", func(v View) bool { return v.Receivers[0].Sent >= 2 })
	b.until("one told to the webhook", func(v View) bool { return v.Receivers[1].Sent == 1 })

	b.trouble.DeleteLabelValues("web-1") // the series ends: that is a recovery too
	v = b.until("resolved", func(v View) bool { return v.Counts.Firing == 0 && len(v.Past) == 1 })
	if v.Past[0].State != Resolved || v.Past[0].ResolvedAt.Before(v.Past[0].FiredAt) {
		t.Errorf("past %+v", v.Past[0])
	}
	b.until("the end told to the webhook", func(v View) bool { return v.Receivers[1].Sent == 2 })
	b.until("and to the Alertmanager", func(View) bool {
		_, bodies := am.all()
		var got []postable
		if err := json.Unmarshal(bodies[len(bodies)-1], &got); err != nil {
			t.Fatal(err)
		}
		return got[0].EndsAt.Before(time.Now())
	})

	paths, bodies := am.all()
	var sent []postable
	if err := json.Unmarshal(bodies[0], &sent); err != nil {
		t.Fatal(err)
	}
	if paths[0] != "/am/api/v2/alerts" || sent[0].Labels["alertname"] != "Trouble" || sent[0].Labels["severity"] != "critical" ||
		sent[0].StartsAt.IsZero() || !sent[0].EndsAt.After(sent[0].StartsAt) ||
		!strings.HasPrefix(sent[0].GeneratorURL, "http://mesh.example.com/alerts?id=") {
		t.Errorf("%s: %+v", paths[0], sent[0])
	}
	_, bodies = hook.all()
	for i, want := range []string{Firing, Resolved} {
		var got webhook
		if err := json.Unmarshal(bodies[i], &got); err != nil {
			t.Fatal(err)
		}
		if got.Version != "4" || got.Status != want || got.Alerts[0].Status != want || got.CommonLabels["alertname"] != "Trouble" {
			t.Errorf("webhook %d: %s", i, bodies[i])
		}
	}
	if text, _ := json.Marshal(b.service.View(time.Now())); strings.Contains(string(text), "secret-token") {
		t.Error("the webhook's URL is shown")
	}
}

func TestPastSurvives(t *testing.T) {
	state := statefile.At(t.TempDir(), "alerts.json")
	b := newBook()
	at := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	for i := range maxPast + 10 {
		b.resolve(Alert{ID: "a", State: Resolved, ResolvedAt: at.Add(time.Duration(i) * time.Second)})
		b.resolve(Alert{ID: "a", State: Resolved, ResolvedAt: at.Add(time.Duration(i) * time.Second)}) // told again
	}
	b.trim(at)
	past, _ := b.changedPast()
	if err := state.Save(past); err != nil || len(past) != maxPast {
		t.Fatalf("%d past alerts, %v", len(past), err)
	}
	s, err := New(Options{State: state})
	if err != nil {
		t.Fatal(err)
	}
	if v := s.View(at); len(v.Past) != maxPast || v.Past[0].ResolvedAt.Before(v.Past[1].ResolvedAt) {
		t.Errorf("%d past alerts", len(v.Past))
	}
}

// A receiver that never answers costs the others nothing, and what it loses is
// counted.
func TestDeadReceiver(t *testing.T) {
	dead, alive := newInbox(t, 1<<30), newInbox(t, 0)
	s, err := newSender(Options{Alertmanagers: []string{dead.URL, alive.URL}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx := t.Context()
	running.Go(func() { s.run(ctx) })
	t.Cleanup(running.Wait)
	for i := range maxWaiting + 5 {
		s.send([]notification{{RuleAlert: metrics.RuleAlert{State: Firing, Labels: map[string]string{"n": string(rune('a' + i%26))}}}})
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st := s.status()
		if st[0].Dropped >= 5 && st[0].Error != "" && st[1].Waiting == 0 && st[1].Sent+st[1].Dropped == maxWaiting+5 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", st)
		}
	}
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: sum(\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no URL":       {Options{Alertmanagers: []string{"localhost:9093"}}, "want a URL like"},
		"broken rules": {Options{Files: []string{broken}}, "broken.yaml: invalid: "},
		"no such file": {Options{Files: []string{filepath.Join(dir, "*.none")}}, "not found"},
		"bad pattern":  {Options{Files: []string{"[a"}}, "syntax error in pattern"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that is broken later leaves its last good form in force, and is named.
func TestRulesAreReread(t *testing.T) {
	b := start(t, nil)
	b.until("the rule", func(v View) bool { return len(v.Rules) == 1 })
	b.file("rules.yaml", "groups: [")
	v := b.until("a problem", func(v View) bool { return len(v.Problems) > 0 && len(v.Rules) == 1 })
	if !strings.Contains(v.Problems[0], "rules.yaml") {
		t.Errorf("problem %q", v.Problems[0])
	}
	b.file("rules.yaml", strings.ReplaceAll(rule, "Trouble", "Worry"))
	b.until("the new rule", func(v View) bool { return len(v.Problems) == 0 && len(v.Rules) == 1 && v.Rules[0].Name == "Worry" })
}

// What comes with the product is well-formed, and each alert says what it is
// and what to do.
func TestBuiltinRules(t *testing.T) {
	rules, err := dashboards.Rules()
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, func(o *Options) { o.Builtin, o.Files = rules, nil })
	v := b.until("rules", func(v View) bool { return len(v.Rules) >= 7 })
	for _, r := range v.Rules {
		if r.Severity == "" || r.Error != "" {
			t.Errorf("rule %+v", r)
		}
	}
}

func TestAbout(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   string
	}{
		{map[string]string{"node": "n", "workload": "w", "namespace": "a"}, "node n"},
		{map[string]string{"workload": "w", "namespace": "a"}, "workload a/w"},
		{map[string]string{"source_workload": "x", "source_workload_namespace": "a", "destination_workload": "y", "destination_workload_namespace": "b"}, "edge a/x -> b/y"},
		{map[string]string{"source_workload": "unknown", "source_workload_namespace": "a", "destination_service": "y.b"}, "service y.b"},
		{map[string]string{"alertname": "x"}, ""},
	} {
		got := ""
		if a := about(c.labels); a != nil {
			got = a.Kind + " " + a.ID
		}
		if got != c.want {
			t.Errorf("%v: got %q, want %q", c.labels, got, c.want)
		}
	}
}
