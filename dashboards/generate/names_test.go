package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/promql/parser"
	"gopkg.in/yaml.v3"

	collectorapp "github.com/sidelight-mesh/sidelight/collector/app"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/tap"
	"github.com/sidelight-mesh/sidelight/proxy/telemetry"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
	"github.com/sidelight-mesh/sidelight/server/grafana"
)

// exported collects what is registered, so that it can be asked which metrics
// and labels there can be, long before each has a series.
type exported struct {
	*prometheus.Registry
	metrics map[string][]string // by name, the labels
}

func (e *exported) Register(c prometheus.Collector) error {
	if err := e.Registry.Register(c); err != nil {
		return err
	}
	descs := make(chan *prometheus.Desc)
	go func() { c.Describe(descs); close(descs) }()
	some := false
	for d := range descs {
		some = true
		e.add(d)
	}
	if !some {
		e.collect(c)
	}
	return nil
}

func (e *exported) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := e.Register(c); err != nil {
			panic(err)
		}
	}
}

// collect asks collectors that describe nothing.
func (e *exported) collect(c prometheus.Collector) {
	metrics := make(chan prometheus.Metric)
	go func() { c.Collect(metrics); close(metrics) }()
	for m := range metrics {
		e.add(m.Desc())
	}
}

var descText = regexp.MustCompile(`fqName: "(\w+)".* variableLabels: \{([^}]*)\}`)

func (e *exported) add(d *prometheus.Desc) {
	m := descText.FindStringSubmatch(d.String())
	if m == nil {
		panic("not a description: " + d.String())
	}
	var labels []string
	for l := range strings.SplitSeq(m[2], ",") {
		if l != "" {
			labels = append(labels, l)
		}
	}
	e.metrics[m[1]] = append(e.metrics[m[1]], labels...)
}

// ours has every metric that a sidecar, the collector and the server export,
// from their real registries.
func ours(t *testing.T) *exported {
	t.Helper()
	sidecar := &exported{prometheus.NewRegistry(), map[string][]string{}}
	registerSidecar(t, sidecar)
	both := &exported{prometheus.NewRegistry(), sidecar.metrics}
	both.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	c, err := collectorapp.New(collectorapp.Options{DataDir: t.TempDir(), OTLPGRPC: "127.0.0.1:0", Registerer: both})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s, err := serverapp.New(serverapp.Options{
		ConfigDir: t.TempDir(), API: "127.0.0.1:0", Admin: "127.0.0.1:0", XDS: "127.0.0.1:0", Secure: "127.0.0.1:0", Registerer: both, Gatherer: both,
		Alerts: &serverapp.Alerts{Engine: c.Metrics().Rules}, Grafana: grafana.Options{URL: "http://127.0.0.1:1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	addSamples(t, both)
	for name, labels := range both.metrics {
		// What a scrape adds, and the collector knows of its targets.
		both.metrics[name] = append(labels, "job", "instance", "node", "workload", "namespace")
	}
	for _, name := range []string{"up", "scrape_duration_seconds", "scrape_samples_scraped"} {
		both.metrics[name] = []string{"job", "instance", "node", "workload", "namespace"}
	}
	return both
}

// addSamples adds the names that samples have and descriptions do not.
func addSamples(t *testing.T, e *exported) {
	t.Helper()
	families, err := e.Gather()
	if err != nil {
		t.Fatal(err)
	}
	summaries := map[string]bool{}
	for _, f := range families {
		summaries[f.GetName()] = f.GetType() == dto.MetricType_SUMMARY
	}
	for name, labels := range e.metrics {
		if summaries[name] {
			e.metrics[name] = append(labels, "quantile")
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			e.metrics[name+suffix] = append(slices.Clone(labels), "le")
		}
	}
}

func registerSidecar(t *testing.T, reg *exported) {
	t.Helper()
	telemetry.NewMetrics(reg)
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	me := mesh.Workload{Name: "tickets", Namespace: "cinema"}
	must(telemetry.RegisterNode(reg, telemetry.Node{
		ID: "a", Workload: me, Revision: func() uint64 { return 1 },
		Sockets: func() listen.Counts { return listen.Counts{} }, Requests: func() int64 { return 0 },
	}))
	must(telemetry.RegisterCertificate(reg, func() telemetry.Certificate { return telemetry.Certificate{Failing: 1, Reason: "refused"} }))
	engine, err := forward.NewEngine(forward.Options{Workload: me})
	must(err)
	t.Cleanup(engine.Close)
	must(engine.Apply(forward.Snapshot{Clusters: []cluster.Config{{
		Name: "guarded", Limits: cluster.Limits{MaxRequests: 1, MaxPending: 1},
		Outlier: &cluster.Outlier{Consecutive5xx: 1},
	}}}))
	must(telemetry.RegisterClusters(reg, lookedUp{engine}))
	_, err = tap.New(tap.Options{Logger: slog.New(slog.DiscardHandler), Registerer: reg})
	must(err)
	_, err = xds.New(xds.Options{Node: mesh.Node{ID: "a", Workload: me}, Servers: []string{"127.0.0.1:1"}, Runtime: noRuntime{}, Registerer: reg})
	must(err)
}

type noRuntime struct{ xds.Runtime }

// lookedUp is an engine that has looked names up.
type lookedUp struct{ *forward.Engine }

func (lookedUp) Lookups() (all, failed uint64) { return 2, 1 }

// recorded adds what the recording rules make: each has the labels that its
// expression groups by.
func recorded(t *testing.T, e *exported) (exprs map[string]string) {
	t.Helper()
	exprs = map[string]string{}
	names, err := filepath.Glob(filepath.Join("..", "rules", "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				Rules []struct{ Record, Alert, Expr string }
			}
		}
		if err := yaml.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				exprs[filepath.Base(name)+": "+r.Record+r.Alert] = r.Expr
				if r.Record != "" {
					used := usesOf(t, r.Expr)
					labels := used.grouped
					for _, s := range used.selectors {
						if strings.Contains(s.metric, ":") {
							labels = append(labels, e.metrics[s.metric]...)
						}
					}
					e.metrics[r.Record] = append(labels, "le")
				}
			}
		}
	}
	return exprs
}

type uses struct {
	selectors []selector
	grouped   []string
	made      []string // labels, by label_replace
}

type selector struct {
	metric string
	labels []string
}

func usesOf(t *testing.T, expr string) uses {
	t.Helper()
	parsed, err := parseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	var u uses
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			names, labels := []string{n.Name}, []string(nil)
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" {
					labels = append(labels, m.Name)
				} else if n.Name == "" { // one of several
					names = strings.Split(m.Value, "|")
				}
			}
			for _, name := range names {
				u.selectors = append(u.selectors, selector{metric: name, labels: labels})
			}
		case *parser.Call:
			if n.Func.Name == "label_replace" {
				u.made = append(u.made, n.Args[1].(*parser.StringLiteral).Val)
			}
		case *parser.AggregateExpr:
			u.grouped = append(u.grouped, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				u.grouped = append(u.grouped, n.VectorMatching.MatchingLabels...)
			}
		}
		return nil
	})
	return u
}

var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// Whatever a dashboard or a rule asks for is exported by a process of ours.
func TestMetricsExist(t *testing.T) {
	e := ours(t)
	rules := recorded(t, e)
	check := func(at, expr string, more ...string) {
		u := usesOf(t, expr)
		known := u.made
		for _, s := range u.selectors {
			labels, ok := e.metrics[s.metric]
			if !ok {
				t.Errorf("%s: nobody exports %s", at, s.metric)
			}
			for _, l := range s.labels {
				if !slices.Contains(labels, l) {
					t.Errorf("%s: %s has no label %s, but %v", at, s.metric, l, labels)
				}
			}
			known = append(known, labels...)
		}
		for _, l := range append(u.grouped, more...) {
			if !slices.Contains(known, l) {
				t.Errorf("%s: none of the metrics has a label %s to group by", at, l)
			}
		}
	}
	for at, expr := range rules {
		check(at, expr)
	}
	for file, d := range read(t) {
		for _, v := range d.Templating.List[1:] {
			m := labelValues.FindStringSubmatch(v.Definition)
			if m == nil {
				t.Errorf("%s: variable %s: %q is not label_values(…)", file, v.Name, v.Definition)
				continue
			}
			check(file+": $"+v.Name, m[1], m[2])
		}
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				var shown []string
				for _, m := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.LegendFormat, -1) {
					shown = append(shown, m[1])
				}
				check(file+": "+p.Title, q.Expr, shown...)
			}
		}
	}
}

var (
	metricName = regexp.MustCompile(`\b(sidelight|pilot|istio|envoy_server|traces_service_graph)(_[a-z0-9]+)+\b(_?\*)?`)
	// A name that goes on from the one before it: `…_active`.
	metricEnd = regexp.MustCompile("`…?(_[a-z0-9_]+)`")
)

// The pages tell of every metric of ours, and of no other.
func TestMetricsInPages(t *testing.T) {
	e := ours(t)
	e.metrics["sidelight_certificates_requested_total"] = []string{"result"} // there when the server runs
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	told := map[string]bool{}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			var names []string
			for _, name := range metricName.FindAllString(line, -1) {
				if strings.HasSuffix(name, "*") || strings.Contains(line, ":"+name) { // a family; a recorded series
					continue
				}
				if names = append(names, name); e.metrics[name] == nil {
					t.Errorf("%s: nobody exports %s", page, name)
				}
			}
			for _, end := range metricEnd.FindAllStringSubmatch(line, -1) {
				for _, name := range names {
					for i, r := range name {
						if r == '_' && e.metrics[name[:i]+end[1]] != nil {
							names = append(names, name[:i]+end[1])
						}
					}
				}
			}
			for _, name := range names {
				told[name] = true
			}
		}
	}
	for name := range e.metrics {
		part := false // of a histogram
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			part = part || strings.HasSuffix(name, suffix)
		}
		if metricName.MatchString(name) && !part && !told[name] {
			t.Errorf("no page tells of %s", name)
		}
	}
}

// Whoever is called by an alert finds it in docs/troubleshooting.md, and the
// alert names a page.
func TestAlertsInPages(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := map[string]bool{}
	for _, f := range ruleFiles() {
		for _, g := range f.groups {
			for _, r := range g.Rules {
				if r.Alert == "" {
					continue
				}
				alerts[r.Alert] = true
				checkTexts(t, r)
			}
		}
	}
	alert := regexp.MustCompile(`\bSidelight[A-Z]\w+`)
	told := map[string]bool{}
	for _, name := range alert.FindAllString(string(page), -1) {
		told[name] = true
	}
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, name := range pages {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range alert.FindAllString(string(content), -1) {
			if !alerts[a] {
				t.Errorf("%s: there is no alert %s", name, a)
			}
		}
	}
	for name := range alerts {
		if told[name] {
			continue
		}
		t.Errorf("the page does not tell of %s", name)
	}
}

// checkTexts wants an alert to say what is wrong in a line, then what to do in
// sentences, and to lead to a place in a page that is there.
func checkTexts(t *testing.T, r rule) {
	t.Helper()
	a := r.Annotations
	if first := a.Summary[:1]; first != "{" && first != strings.ToUpper(first) || strings.HasSuffix(a.Summary, ".") {
		t.Errorf("%s: summary %q: want a line that begins large, without a full stop", r.Alert, a.Summary)
	}
	if !strings.ContainsAny(a.Description[len(a.Description)-1:], ".?") {
		t.Errorf("%s: description %q: want whole sentences", r.Alert, a.Description)
	}
	name, place, _ := strings.Cut(a.Runbook, "#")
	page, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Errorf("%s: runbook: %v", r.Alert, err)
		return
	}
	heading := regexp.MustCompile(`(?mi)^#+ ` + strings.ReplaceAll(regexp.QuoteMeta(place), "-", "[ -]") + `$`)
	if !strings.Contains(string(page), `<a id="`+place+`">`) && !heading.Match(page) {
		t.Errorf("%s: runbook %s: no such place", r.Alert, a.Runbook)
	}
}
