package graph

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// one gives the view of a single edge with these answers, a second.
func one(t *testing.T, protocol, answers string) (View, *Edge) {
	t.Helper()
	s := readScenario(t, `
target w:1 a/w every=1 offset=0
traffic 0-40 w:1 source a/w > a/x x.a.svc.cluster.local `+protocol+` `+answers)
	v := s.engine(40).View(Query{}, after(40))
	if len(v.Edges) != 1 {
		t.Fatalf("got %d edges", len(v.Edges))
	}
	return v, v.Edges[0]
}

func TestHealthRules(t *testing.T) {
	tests := []struct {
		protocol, answers string
		want              HealthState
		codes             string
	}{
		{"http", "200=100", OK, ""},
		{"http", "200=999 503=1", Warn, "5xx"},
		{"http", "200=91 500=9", Warn, "5xx"},
		{"http", "200=9 500=1", Fail, "5xx"},
		{"http", "200=95 404=5", OK, ""},
		{"http", "200=9 404=1", Warn, "4xx"},
		{"http", "200=4 429=1", Fail, "4xx"},
		{"http", "200=95 0/DC=5", OK, ""},
		{"http", "200=9 0/DC=1", Fail, "no_response"},
		{"http", "200=8 404=1 503=1", Fail, "5xx 4xx"},
		{"http", "302=9 101=1", OK, ""},
		{"grpc", "200:0=95 200:14=5", OK, ""},
		{"grpc", "200:OK=9 200:Unavailable=1", Fail, "grpc"},
		{"grpc", "200:0=9 503:14=1", Fail, "5xx"},
		{"tcp", "opened=100 closed=100", OK, ""},
		{"tcp", "opened=100 0/UF=1", Warn, "tcp"},
		{"tcp", "opened=10 0/UF,URX=1", Fail, "tcp"},
		{"tcp", "opened=10 0/DC=5", OK, ""},
		{"tcp", "active=2", OK, ""},
		{"http", "sent=1", OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.protocol+" "+tt.answers, func(t *testing.T) {
			_, e := one(t, tt.protocol, tt.answers)
			var codes []string
			for _, r := range e.Health.Reasons {
				codes = append(codes, r.Code)
				if r.Text == "" || r.Since.IsZero() {
					t.Errorf("a reason says too little: %+v", r)
				}
			}
			if e.Health.State != tt.want || strings.Join(codes, " ") != tt.codes {
				t.Errorf("got %s %v, want %s %s", e.Health.State, e.Health.Reasons, tt.want, tt.codes)
			}
		})
	}
}

func TestErrorRatio(t *testing.T) {
	for answers, want := range map[string]float64{
		"http 200=3 404=1": 0, "http 200=3 500=1": 0.25, "http 200=3 0/DC=1": 0.25,
		"grpc 200:0=3 200:5=1": 0.25, "tcp opened=4 0/UF=1": 0.25,
	} {
		protocol, rest, _ := strings.Cut(answers, " ")
		if _, e := one(t, protocol, rest); e.ErrorRatio != want {
			t.Errorf("%s: got %v, want %v", answers, e.ErrorRatio, want)
		}
	}
}

// A reason is dated to the begin of the present spell of errors: gaps shorter
// than half a minute belong to it, and it may reach back beyond the seconds.
func TestReasonsAreDated(t *testing.T) {
	tests := map[string]struct {
		errors []string // FROM-TO
		at     float64
		since  float64
	}{
		"just now":               {[]string{"50-60"}, 60, 50},
		"with a short gap":       {[]string{"20-30", "50-60"}, 60, 20},
		"a spell before it":      {[]string{"5-10", "50-60"}, 60, 50},
		"long ago":               {[]string{"505-1500"}, 1500, 500}, // ten-second slots
		"long ago with a gap":    {[]string{"505-700", "720-1500"}, 1500, 500},
		"long ago, healed since": {[]string{"505-700", "800-1500"}, 1500, 800},
		"ended in the window":    {[]string{"40-45"}, 60, 40},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := "target w:1 a/w every=1 offset=0\ntraffic 0-2000 w:1 source a/w > a/x x http 200=20\n"
			for _, span := range tt.errors {
				text += "traffic " + span + " w:1 source a/w > a/x x http 503=5\n"
			}
			v := readScenario(t, text).engine(tt.at).View(Query{}, after(tt.at))
			for _, h := range []Health{v.Edges[0].Health, v.Nodes[1].Health} {
				if len(h.Reasons) != 1 || !h.Reasons[0].Since.Equal(after(tt.since)) {
					t.Errorf("got %v, want since %v", h.Reasons, after(tt.since))
				}
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		in     mesh.Outcome
		code   string
		failed bool
		flags  string
	}{
		{mesh.Outcome{Code: 200, Flags: "-"}, "200", false, ""},
		{mesh.Outcome{Code: 404}, "404", false, ""},
		{mesh.Outcome{Code: 503, Flags: "UF,URX"}, "503", true, "UF URX"},
		{mesh.Outcome{Code: 0, Flags: "DC"}, "0", true, "DC"},
		{mesh.Outcome{Code: 200, GRPC: "0"}, "grpc:0", false, ""},
		{mesh.Outcome{Code: 200, GRPC: "DEADLINE_EXCEEDED"}, "grpc:4", true, ""},
		{mesh.Outcome{Code: 200, GRPC: "Canceled"}, "grpc:1", true, ""},
		{mesh.Outcome{Code: 200, GRPC: "strange"}, "grpc:strange", true, ""},
	}
	for _, tt := range tests {
		o := readOutcome(tt.in)
		if o.code != tt.code || o.failed != tt.failed || strings.Join(o.flags, " ") != tt.flags {
			t.Errorf("%+v: got %s %v %v", tt.in, o.code, o.failed, o.flags)
		}
	}
}

// Old slots keep latency in wider buckets: a quantile from them is off by a
// tenth at most.
func TestWideBucketsKeepQuantiles(t *testing.T) {
	fine, wide := mesh.Histogram{}, mesh.Histogram{}
	for i := range 400 {
		low := 0.1 * pow(1.0905, i%120)
		b := mesh.Bucket{Lower: low, Upper: low * 1.0905, Count: float64(1 + i%7)}
		w := widened(bounds{b.Lower, b.Upper})
		if w.lower > b.Lower*(1+1e-6) || w.upper < b.Upper*(1-1e-6) {
			t.Fatalf("%v is not within %v", b, w)
		}
		fine.Merge(mesh.Histogram{Buckets: []mesh.Bucket{b}})
		b.Lower, b.Upper = w.lower, w.upper
		wide.Merge(mesh.Histogram{Buckets: []mesh.Bucket{b}})
	}
	for _, q := range []float64{0.5, 0.95, 0.99} {
		if f, w := fine.Quantile(q), wide.Quantile(q); !near(w, f, 0.1) {
			t.Errorf("p%v: %v from wide buckets, %v from fine", q*100, w, f)
		}
	}
	for _, b := range []bounds{{0, 5}, {100, 250}} { // classic ones stay
		if widened(b) != b {
			t.Errorf("%v became %v", b, widened(b))
		}
	}
}

func pow(x float64, n int) float64 {
	p := 1.0
	for range n {
		p *= x
	}
	return p
}

func TestFind(t *testing.T) {
	s := readScenario(t, `
workload a/web meshed config=stale:41:2
target web:1 a/web every=1 offset=0
traffic 0-40 web:1 source a/web > b/pay-v2 pay.b.svc.cluster.local http 200/-/upstream=8 503/UF/proxy/upstream_connection_failure=2 latency=100 attempts=20 conns=5
traffic 0-40 web:1 source a/web > b/seats seats.b.svc.cluster.local grpc 200:0=1 200:14=1 latency=2
traffic 0-40 web:1 source a/web > - db.b.svc.cluster.local tcp opened=1 sent=2000`)
	e := s.engine(40)
	const pay, seats, db = "pay-v2", "seats", "db.b.svc.cluster.local"
	tests := map[string]string{
		"rps > 5 and kind = edge":              pay,
		"errors > 30% kind=edge":               seats,
		"code = 5xx":                           pay,
		"code = 503":                           pay,
		"code = grpc:14":                       seats,
		"status >= 500":                        pay,
		"flags = UF":                           pay,
		"answered_by = proxy":                  pay,
		"details *= connection":                pay,
		"attempts > 1.5":                       pay,
		"churn >= 5":                           pay,
		"protocol = tcp":                       db,
		"bytes > 1kB and kind=edge":            db,
		"p95 > 50ms kind=edge":                 pay,
		"to = b/pay-v2":                        pay,
		"to = pay":                             pay,
		"from = web and protocol = grpc":       seats,
		"svc = seats":                          seats,
		"version = v2 kind=edge":               pay,
		"kind=edge and not (http or code)":     db,
		"health = tcp or (health=5xx and rps)": pay + " node",
		"config = stale":                       "web node",
		"behind > 1 and meshed":                "web node",
		"rps_out > 5":                          "web node",
		"name = seats":                         "seats node",
	}
	for src, want := range tests {
		find, err := ParseFind(src)
		if strings.Contains(src, "http or") {
			find, err = ParseFind(strings.ReplaceAll(src, "http or", "protocol = http or"))
		}
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		v := e.View(Query{Find: find}, after(40))
		found := slices.ContainsFunc(v.Edges, func(e *Edge) bool { return e.Match && strings.HasSuffix(targetName(e), want) })
		found = found || slices.ContainsFunc(v.Nodes, func(n *Node) bool { return n.Match && n.Name+" node" == want })
		if !found || v.Matched.Nodes+v.Matched.Edges == 0 {
			t.Errorf("%q does not match %s: %+v", src, want, v.Matched)
		}
		if !strings.Contains(src, "health") && v.Matched.Nodes+v.Matched.Edges != 1 {
			t.Errorf("%q matches %+v, want one", src, v.Matched)
		}
	}
	if v := e.View(Query{}, after(40)); v.Matched != nil {
		t.Errorf("matched %v without an expression", v.Matched)
	}
	if _, err := ParseFind("nosuch = 1"); err == nil {
		t.Errorf("an unknown operand was taken")
	}
}

func targetName(e *Edge) string { return e.Target }

func TestOverview(t *testing.T) {
	s := readScenario(t, `
workload a/web meshed
workload b/lone
service pay.b.svc.cluster.local b/pay workloads=b/pay
service calm.a.svc.cluster.local a/calm workloads=a/calm
service bank.example b/bank.example external
target web:1 a/web every=1 offset=0
target calm:1 a/calm every=1 offset=0 to=30
traffic 0-40 web:1 source a/web > b/pay pay.b.svc.cluster.local http 200/-/upstream=6 503/UH/proxy/no_healthy_upstream/VirtualService_b/pay=3 500/-/upstream=1
traffic 0-40 web:1 source a/web > a/calm calm.a.svc.cluster.local http 200/-/upstream=50 403/-/upstream=1
traffic 0-40 web:1 source a/web > - bank.example http 200/-/upstream=2`)
	e := s.engine(40)
	v := e.View(Query{}, after(40))
	var namespaces []string
	for _, n := range Namespaces(v) {
		namespaces = append(namespaces, fmt.Sprintf("%s %s %d/%d %v %v", n.Name, n.Health.State, n.Meshed, n.Workloads, n.RPS, n.ErrorRatio))
	}
	want := []string{"b fail 0/2 10 0.4", "a unknown 2/2 51 0"}
	if d := cmp.Diff(want, namespaces); d != "" {
		t.Errorf("namespaces (-want +got):\n%s", d)
	}
	var services []string
	for _, n := range Services(e.View(Query{Group: ByService}, after(40))) {
		services = append(services, fmt.Sprint(n.Name, " ", n.Health.State, " ", n.External))
	}
	if d := cmp.Diff([]string{"pay fail false", "calm unknown false", "bank.example ok true"}, services); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	if c := CoverageOf(v, nil, ""); c.Workloads != 4 || c.Meshed != 2 || !slices.Equal(c.Unmeshed, []string{"b/lone", "b/pay"}) {
		t.Errorf("coverage %+v", c)
	}
	if edges := ErrorEdges(v, 5); len(edges) != 1 || edges[0].Target != "workload:b/pay" {
		t.Errorf("error edges %v", edges)
	}
	var findings []string
	for _, f := range Findings(v) {
		findings = append(findings, fmt.Sprint(f.Severity, " ", f.Text, " ", f.Link))
	}
	want = []string{
		"fail web → pay: 40 % errors, 75 % of them answered by the proxy of web: 503 UH no_healthy_upstream, from VirtualService b/pay /graph?sel=workload%3Aa%2Fweb%3Eworkload%3Ab%2Fpay%3Ahttp",
		"warn calm: no data for 10 s /graph?sel=workload%3Aa%2Fcalm",
	}
	if d := cmp.Diff(want, findings); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}

// Errors that come up through the mesh are told where they begin, first; who
// hands them on says from where. What fails by itself beside them stays so, and
// calls in a circle have no begin.
func TestFindingsBeginWhereErrorsDo(t *testing.T) {
	for _, tc := range []struct {
		name, traffic string
		want          []string
	}{
		{"handed on", `
traffic 0-40 t:1 source a/in > a/web web http 200/-/upstream=36 502/-/upstream=4
traffic 0-40 t:1 source a/web > a/pay pay http 200/-/upstream=16 502/-/upstream=4
traffic 0-40 t:1 source a/pay > a/bank bank http 200/-/upstream=16 503/URX/upstream=4
traffic 0-40 t:1 source a/web > a/seats seats http 200/-/upstream=9 500/-/upstream=1`, []string{
			"pay → bank: 20 % errors, all answered by bank",
			"web → seats: 10 % errors, all answered by seats",
			"in → web: 10 % errors, passed on from pay → bank",
			"web → pay: 20 % errors, passed on from pay → bank",
		}},
		{"too few to explain them", `
traffic 0-40 t:1 source a/web > a/pay pay http 200/-/upstream=10 500/-/upstream=10
traffic 0-40 t:1 source a/pay > a/bank bank http 200/-/upstream=10 503/-/upstream=4`, []string{
			"web → pay: 50 % errors, all answered by pay",
			"pay → bank: 28.6 % errors, all answered by bank",
		}},
		{"the caller's proxy answered", `
traffic 0-40 t:1 source a/web > a/pay pay http 200/-/upstream=16 503/UO/proxy/overflow=4
traffic 0-40 t:1 source a/pay > a/bank bank http 200/-/upstream=16 503/-/upstream=3`, []string{
			"web → pay: 20 % errors, 100 % of them answered by the proxy of web: 503 UO overflow",
			"pay → bank: 15.8 % errors, all answered by bank",
		}},
		{"in a circle", `
traffic 0-40 t:1 source a/x > a/y y http 200/-/upstream=8 500/-/upstream=2
traffic 0-40 t:1 source a/y > a/x x http 200/-/upstream=8 500/-/upstream=2`, []string{
			"x → y: 20 % errors, all answered by y",
			"y → x: 20 % errors, all answered by x",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := readScenario(t, "target t:1 a/web every=1 offset=0"+tc.traffic)
			var got []string
			for _, f := range Findings(s.engine(40).View(Query{}, after(40))) {
				got = append(got, f.Text)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
		})
	}
}

// An instance that was rolled over is not spoken of for an hour.
func TestReplacedTargetIsForgotten(t *testing.T) {
	s := readScenario(t, `
target old:1 a/w every=1 offset=0 to=30
target lone:1 a/x every=1 offset=0 to=30
target new:1 a/w every=1 offset=0 from=20
traffic 0-9000 new:1 source a/w > a/y y http 200=1`)
	for at, want := range map[float64]int{60: 2, 400: 1, 5000: 0} {
		if v := s.engine(at).View(Query{Window: time.Minute}, after(at)); len(v.Stale) != want {
			t.Errorf("at %v: stale %v, want %d", at, v.Stale, want)
		}
	}
}

// However many pairs an edge stands for, the begin of what is wrong is that of
// those that fail, not of those that go well beside them.
func TestSpellOfManyPairsIsThatOfTheFailing(t *testing.T) {
	const pairs, failing, from = 200, 90, 60
	e := New(Options{})
	w := func(ns string, i int) mesh.Workload { return mesh.Workload{Namespace: ns, Name: fmt.Sprint("w", i)} }
	for second := range 95 {
		for i := range pairs {
			requests := map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 9}
			if i >= pairs-failing && second >= from+i%3 {
				requests[mesh.Outcome{Code: 500, Flags: "-"}] = 1
			}
			e.Add(mesh.EdgeBatch{
				Target: fmt.Sprint("t", i), Workload: w("a", i), At: after(float64(second + 1)), Up: true, Interval: time.Second,
				Deltas: []mesh.EdgeDelta{{
					Key:      mesh.EdgeKey{Reporter: mesh.FromSource, Source: w("a", i), Target: w("b", i), Protocol: mesh.HTTP, Service: mesh.Service{Host: w("b", i).Name}},
					Requests: requests,
				}},
			})
		}
	}
	v := e.View(Query{Group: ByNamespace}, after(95))
	if len(v.Edges) != 1 || len(v.Edges[0].Health.Reasons) != 1 {
		t.Fatalf("got %d edges, %+v", len(v.Edges), v.Edges[0].Health)
	}
	if since := v.Edges[0].Health.Reasons[0].Since; !since.Equal(after(from)) {
		t.Errorf("failing since %v, want %v", since, after(from))
	}
}
