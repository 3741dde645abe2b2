package graph

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))
}

// One request counts the same wherever its scrape's borders fall.
func TestRingKeepsTotals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	k := newKeys(8, 8)
	r := newRing(3600, k, func(b uint32) uint32 { return b &^ 1 })
	start := float64(day.Unix())
	want := make([]float64, k.end)
	for at := start; at < start+1200; {
		at += rng.Float64() * 3
		width := []float64{0.2, 1, 1.01, 15, 60}[rng.IntN(5)]
		counts := make([]entry64, 0, 4)
		for range 4 {
			key, n := uint32(rng.IntN(int(k.end))), float64(1+rng.IntN(5000))
			counts = append(counts, entry64{key: key, n: n})
		}
		slices.SortFunc(counts, func(a, b entry64) int { return int(a.key) - int(b.key) })
		if r.put(uint32(rng.IntN(3)), span{at - width, at}, counts, 0) {
			for _, c := range counts {
				want[c.key] += c.n
			}
		}
	}
	got := newSums(k)
	for id := range uint32(3) {
		r.add(got, id, int64(start)-120, r.head+1, 1)
	}
	for key := range want {
		g, w := got.v[key], want[key]
		if b := uint32(key); b >= k.buckets && b < k.plain { // folded in pairs
			pair := int(b &^ 1)
			g, w = got.v[pair]+got.v[pair+1], want[pair]+want[pair+1]
		}
		if !near(g, w, 1e-6) {
			t.Errorf("key %d: got %v, want %v", key, g, w)
		}
	}
	if len(r.coarse) < 100 {
		t.Errorf("only %d coarse frames: the test tells nothing of folding", len(r.coarse))
	}
}

func TestRingForgetsAndTakesNothingLate(t *testing.T) {
	k := newKeys(2, 1)
	r := newRing(600, k, func(b uint32) uint32 { return b })
	one := func() []entry64 { return []entry64{{key: 0, n: 1}} }
	start := float64(day.Unix())
	for s := range 2000 {
		r.put(0, span{start + float64(s), start + float64(s) + 1}, one(), 1)
	}
	if n := len(r.coarse); n > 60 {
		t.Errorf("%d coarse frames for ten minutes", n)
	}
	if r.put(0, span{start + 10, start + 11}, one(), 1) {
		t.Errorf("half an hour late was taken")
	}
	if !r.put(0, span{start + 1900, start + 1950}, one(), 1) {
		t.Errorf("a minute late was refused")
	}
	r.put(0, span{start + 1e6, start + 1e6 + 1}, one(), 1) // a long silence
	all := newSums(k)
	r.add(all, 0, int64(start), r.head+1, 1)
	if all.v[0] != 1 {
		t.Errorf("after a silence longer than the history %v are left, want 1", all.v[0])
	}
}

// fleet is a random mesh whose true counts are known.
type fleet struct {
	*Engine
	rng   *rand.Rand
	truth map[mesh.EdgeKey][]float64 // requests by second, spread as they came
	keys  []mesh.EdgeKey
	every float64
}

func newFleet(seed uint64, workloads, edges int, every float64) *fleet {
	f := &fleet{Engine: New(Options{}), rng: rand.New(rand.NewPCG(seed, 7)), truth: map[mesh.EdgeKey][]float64{}, every: every}
	w := func(i int) mesh.Workload {
		return mesh.Workload{Namespace: fmt.Sprint("ns", i%5), Name: fmt.Sprintf("app%d-v%d", i/2, i%2), App: fmt.Sprint("app", i/2), Version: fmt.Sprint("v", i%2)}
	}
	for i := range edges {
		from, to := w(f.rng.IntN(workloads)), w(f.rng.IntN(workloads))
		svc := mesh.Service{Host: fmt.Sprintf("%s.%s.svc.cluster.local", to.App, to.Namespace), Namespace: to.Namespace, Name: to.App}
		key := mesh.EdgeKey{Reporter: mesh.FromSource, Source: from, Target: to, Service: svc, Protocol: mesh.HTTP, Security: "unknown"}
		if i%10 == 0 {
			key.Target = mesh.Workload{}
		}
		if _, again := f.truth[key]; !again {
			f.truth[key] = nil
			f.keys = append(f.keys, key)
		}
	}
	return f
}

// run scrapes every source workload and, half an interval later, every target,
// from second 0 on. The load changes from second to second.
func (f *fleet) run(seconds int) {
	for _, key := range f.keys {
		for range seconds + 60 {
			f.truth[key] = append(f.truth[key], float64(f.rng.IntN(40)))
		}
	}
	for at := f.every; at <= float64(seconds); at += f.every {
		for _, side := range []mesh.Reporter{mesh.FromSource, mesh.FromDestination} {
			offset := 0.0
			if side == mesh.FromDestination {
				offset = f.every / 2
			}
			if at+offset > float64(seconds) {
				continue
			}
			f.scrapeAll(side, at-f.every+offset, at+offset)
		}
	}
}

func (f *fleet) scrapeAll(side mesh.Reporter, from, to float64) {
	batches := map[string]*mesh.EdgeBatch{}
	for _, key := range f.keys {
		reporter := key.Source
		if side == mesh.FromDestination {
			reporter = key.Target
			key.Reporter, key.Security = side, "mutual_tls"
		}
		if reporter.IsUnknown() {
			continue
		}
		id := reporter.ID()
		if batches[id] == nil {
			batches[id] = &mesh.EdgeBatch{Target: id + "/" + string(side), Workload: reporter, At: after(to), Up: true, Interval: after(to).Sub(after(from))}
		}
		src := key
		src.Reporter, src.Security = mesh.FromSource, "unknown"
		n := f.counted(src, from, to)
		if n == 0 {
			continue
		}
		d := mesh.EdgeDelta{Key: key, Attempts: n}
		d.Requests = map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: n}
		d.Latency.Buckets = []mesh.Bucket{{Lower: 1, Upper: float64(2 + len(key.Target.Name)%3), Count: n}}
		batches[id].Deltas = append(batches[id].Deltas, d)
	}
	for _, b := range batches {
		f.Add(*b)
	}
}

// counted gives the true count between two moments, requests being spread
// evenly over each second.
func (f *fleet) counted(key mesh.EdgeKey, from, to float64) float64 {
	n := 0.0
	for s, c := range f.truth[key] {
		n += c * max(0, min(to, float64(s)+1)-max(from, float64(s)))
	}
	return n
}

// The demo's promise: rates agree with the load generator within a percent
// over a minute, with a scrape every second and with one every fifteen.
func TestRatesAgreeWithTheLoad(t *testing.T) {
	for _, every := range []float64{1, 5, 15} {
		t.Run(fmt.Sprintf("every %v s", every), func(t *testing.T) {
			f := newFleet(3, 8, 12, every)
			f.run(150)
			v := f.View(Query{Window: time.Minute}, after(150.2))
			end := float64(v.At.Unix() - day.Unix())
			got, want := 0.0, 0.0
			for _, key := range f.keys {
				want += f.counted(key, end-60, end) / 60
			}
			for _, e := range v.Edges {
				got += e.RPS
			}
			if !near(got, want, 0.01) {
				t.Errorf("got %v rps, want %v", got, want)
			}
			for i := range v.Edges {
				e := v.Edges[i]
				// The sides are scraped half an interval apart, and what a scrape
				// counts is spread over its interval.
				if e.ServerSide != nil && !near(e.ServerSide.RPS, e.ClientSide.RPS, 0.01+0.003*every) {
					t.Errorf("%s: client %v, server %v", e.ID, e.ClientSide.RPS, e.ServerSide.RPS)
				}
			}
			if len(v.Stale) > 0 {
				t.Errorf("stale: %v", v.Stale)
			}
		})
	}
}

func TestGroupingsConserveTotals(t *testing.T) {
	for seed := range uint64(5) {
		f := newFleet(seed, 30, 60, 1)
		f.run(45)
		var first View
		for i, group := range Groups() {
			v := f.View(Query{Group: group}, after(45.9))
			edges, in, out := 0.0, 0.0, 0.0
			for _, e := range v.Edges {
				edges += e.RPS
			}
			for _, n := range v.Nodes {
				in, out = in+n.In.RPS, out+n.Out.RPS
			}
			if i == 0 {
				first = v
			}
			if !near(v.Totals.RPS, first.Totals.RPS, 1e-3) || !near(edges, first.Totals.RPS, 1e-3) || !near(in, edges, 1e-3) || !near(out, edges, 1e-3) {
				t.Errorf("seed %d, by %s: totals %v, edges %v, in %v, out %v; by workload %v", seed, group, v.Totals.RPS, edges, in, out, first.Totals.RPS)
			}
			if *v.Totals.P95MS != *first.Totals.P95MS {
				t.Errorf("seed %d, by %s: p95 %v, by workload %v", seed, group, *v.Totals.P95MS, *first.Totals.P95MS)
			}
		}
	}
}

func TestRatesDoNotDipAtTheEdge(t *testing.T) {
	s := readScenario(t, `
target web:1 cinema/web every=1 offset=0.1
target c:1 cinema/catalog every=1 offset=0.9
traffic 0-200 web:1 source cinema/web > cinema/catalog c http 200=10
traffic 0-200 c:1 destination cinema/web > cinema/catalog c http 200=10`)
	for at := 40.0; at < 45; at += 0.17 {
		v := s.engine(at).View(Query{Window: 10 * time.Second}, after(at))
		if e := v.Edges[0]; !near(e.RPS, 10, 1e-3) || !near(e.ServerSide.RPS, 10, 1e-3) {
			t.Errorf("at %v: client %v, server %v, want 10", at, e.RPS, e.ServerSide.RPS)
		}
		if lag := after(at).Sub(v.At); lag > 2*time.Second {
			t.Errorf("at %v the view ends %v before", at, lag)
		}
	}
}

// A new edge is seen, with its rate, two scrapes after its first request.
func TestNewEdgeShowsSoon(t *testing.T) {
	s := readScenario(t, `
target web:1 cinema/web every=1 offset=0.95
target other:1 cinema/other every=1 offset=0.1
traffic 40-200 web:1 source cinema/web > cinema/catalog c http 200=10`)
	v := s.engine(42).View(Query{}, after(42))
	if len(v.Edges) != 1 || v.Edges[0].RPS == 0 {
		t.Errorf("two seconds after its first request the edge is %+v", v.Edges)
	}
}

func TestYoungProcessIsNotABurst(t *testing.T) {
	e := New(Options{})
	key := mesh.EdgeKey{Reporter: mesh.FromSource, Source: workloadOf("a/b"), Target: workloadOf("a/c"), Service: mesh.Service{Host: "c"}, Protocol: mesh.HTTP}
	for i := range 4 {
		b := mesh.EdgeBatch{Target: "t", At: after(float64(i)), Up: true}
		n := 10.0
		if i > 0 {
			b.Interval = time.Second
		} else {
			n = 20 // its whole life, two seconds
		}
		b.Deltas = []mesh.EdgeDelta{{Key: key, Requests: map[mesh.Outcome]float64{{Code: 200}: n}}}
		e.Add(b)
	}
	if v := e.View(Query{}, after(3)); !near(v.Edges[0].RPS, 10, 1e-3) {
		t.Errorf("got %v rps, want 10", v.Edges[0].RPS)
	}
}

// After scrapes that failed, the next good one covers them: nothing is lost
// and the rate is no spike.
func TestScrapeAfterFailures(t *testing.T) {
	s := readScenario(t, `
target web:1 cinema/web every=1 offset=0 down=30-35
traffic 0-200 web:1 source cinema/web > cinema/catalog c http 200=10`)
	v := s.engine(40).View(Query{Window: 20 * time.Second}, after(40))
	if e := v.Edges[0]; !near(e.RPS, 10, 1e-3) || len(v.Stale) != 0 {
		t.Errorf("got %v rps, stale %v", e.RPS, v.Stale)
	}
	for i, x := range v.Edges[0].RPSSeries[35:] {
		if !near(x, 10, 0.01) {
			t.Errorf("second %d: %v", i, x)
		}
	}
}

func TestLimits(t *testing.T) {
	e := New(Options{MaxEdges: 3, MaxOutcomes: 16, MaxBuckets: 4})
	total := 0.0
	for i := range 50 {
		d := mesh.EdgeDelta{Requests: map[mesh.Outcome]float64{{Code: 500, Details: fmt.Sprint(i)}: 2}}
		d.Key = mesh.EdgeKey{Reporter: mesh.FromSource, Source: workloadOf("a/b"), Target: workloadOf(fmt.Sprint("a/c", i%5)), Service: mesh.Service{Host: "c"}, Protocol: mesh.HTTP}
		d.Latency.Buckets = []mesh.Bucket{{Lower: float64(i), Upper: float64(i) + 0.5, Count: 2}}
		if i%5 < 3 {
			total += 2
		}
		e.Add(mesh.EdgeBatch{Target: "t", At: after(float64(i)), Interval: time.Second, Up: true, Deltas: []mesh.EdgeDelta{d}})
	}
	v := e.View(Query{Window: time.Minute}, after(49))
	if got := v.Totals.RPS * 50; len(v.Edges) != 3 || v.Limits.Dropped != 2 || !near(got, total, 0.02) {
		t.Errorf("%d edges, %v; %v requests, want 3 edges, 2 dropped, %v requests", len(v.Edges), v.Limits, got, total)
	}
	s := e.Stats()
	if s.DroppedEdges != 20 || s.FoldedOutcomes == 0 || s.FoldedBuckets == 0 || s.Requests != total || s.Errors != total {
		t.Errorf("stats %+v", s)
	}
	for i := range v.Edges {
		if v.Edges[i].P95MS == nil || v.Edges[i].ErrorRatio != 1 {
			t.Errorf("folded counts lost their meaning: %+v", v.Edges[i])
		}
	}
}

func TestIdleEdgesStayForTheHistory(t *testing.T) {
	s := readScenario(t, `
target web:1 cinema/web every=10 offset=0
traffic 0-20 web:1 source cinema/web > cinema/catalog c http 200=0.1`)
	for at, want := range map[float64]HealthState{30: OK, 120: Idle, 3500: Idle} {
		v := s.engine(at).View(Query{}, after(at))
		if len(v.Edges) != 1 || v.Edges[0].Health.State != want {
			t.Errorf("at %v: %+v, want one edge, %s", at, v.Edges, want)
		}
	}
	e := s.engine(3800)
	if v := e.View(Query{}, after(3800)); len(v.Edges) != 0 {
		t.Errorf("after the history there is still %+v", v.Edges)
	}
	if s := e.Stats(); s.Edges != 0 {
		t.Errorf("%d edges are still held", s.Edges)
	}
}

func TestViewsHaveNoNullLists(t *testing.T) {
	e := New(Options{})
	e.Add(mesh.EdgeBatch{Target: "t", At: day, Up: true, Workload: workloadOf("a/b")})
	for _, v := range []any{
		e.View(Query{}, day), New(Options{}).View(Query{}, day), e.Timeline(time.Minute, day, nil),
		Namespaces(View{}), Services(View{}), ErrorEdges(View{}, 5), CoverageOf(View{}, nil, ""), Findings(View{}),
	} {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text := string(body)
		for _, number := range []string{"p50_ms", "p95_ms", "p99_ms"} {
			text = strings.ReplaceAll(text, `"`+number+`":null`, "")
		}
		if strings.Contains(text, "null") {
			t.Errorf("a list is null: %s", body)
		}
	}
}

// Whatever a batch holds, a view can be made and sent.
func FuzzAdd(f *testing.F) {
	f.Add(int64(1793674800), int64(time.Second), "t", "a", "b", "c.x", "http", 200, "14", "UF,DC", 3.0, 5.0, 10.0, true)
	f.Add(int64(-5), int64(-1), "", "", "", "", "", -1, "Unavailable", ",,-", math.Inf(1), math.NaN(), -1.0, false)
	f.Fuzz(func(t *testing.T, at, interval int64, target, from, to, host, protocol string, code int, grpc, flags string, n, low, high float64, up bool) {
		e := New(Options{MaxEdges: 8, MaxOutcomes: 8, MaxBuckets: 8})
		for i := range 3 {
			d := mesh.EdgeDelta{Attempts: n, SentBytes: high, ActiveConnections: low}
			d.Key = mesh.EdgeKey{Reporter: mesh.Reporter([]string{"source", "destination", ""}[i]), Source: mesh.Workload{Namespace: host, Name: from}, Target: mesh.Workload{Name: to}, Service: mesh.Service{Host: host}, Protocol: mesh.Protocol(protocol)}
			d.Requests = map[mesh.Outcome]float64{{Code: code, GRPC: grpc, Flags: flags}: n}
			d.Responses = map[mesh.Outcome]float64{{Code: code, GRPC: grpc, Flags: flags, AnsweredBy: from}: n}
			d.Latency.Buckets = []mesh.Bucket{{Lower: low, Upper: high, Count: n}}
			e.Add(mesh.EdgeBatch{Target: target, At: time.Unix(at+int64(i), 0), Interval: time.Duration(interval), Up: up, Deltas: []mesh.EdgeDelta{d}})
		}
		for _, group := range Groups() {
			if _, err := json.Marshal(e.View(Query{Group: group}, time.Unix(at+3, 0))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := json.Marshal(e.Timeline(time.Minute, time.Unix(at+3, 0), nil)); err != nil {
			t.Fatal(err)
		}
	})
}

// Whichever side is scraped first, a request counts once.
func TestRequestsAreCountedOnce(t *testing.T) {
	batch := func(reporter mesh.Reporter, at, n float64) mesh.EdgeBatch {
		d := mesh.EdgeDelta{Requests: map[mesh.Outcome]float64{{Code: 503}: n}}
		d.Key = mesh.EdgeKey{Reporter: reporter, Source: workloadOf("a/b"), Target: workloadOf("a/c"), Service: mesh.Service{Host: "c"}, Protocol: mesh.HTTP}
		return mesh.EdgeBatch{Target: string(reporter), At: after(at), Interval: time.Second, Up: true, Deltas: []mesh.EdgeDelta{d}}
	}
	for _, first := range []mesh.Reporter{mesh.FromSource, mesh.FromDestination} {
		second := map[mesh.Reporter]mesh.Reporter{mesh.FromSource: mesh.FromDestination, mesh.FromDestination: mesh.FromSource}[first]
		e := New(Options{})
		for i := range 5 {
			e.Add(batch(first, float64(i), 10))
			e.Add(batch(second, float64(i)+0.5, 10))
		}
		if s := e.Stats(); s.Requests != 50 || s.Errors != 50 {
			t.Errorf("%s first: %v requests, %v errors, want 50 of each", first, s.Requests, s.Errors)
		}
	}
}
