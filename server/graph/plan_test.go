package graph

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// A view that is kept up to date is the view that would be made anew, whatever
// happens meanwhile and whatever is asked for.
func TestKeptViewsAreTheViewsMadeAnew(t *testing.T) {
	for name, every := range map[string][]float64{
		"often":  {1, 1, 5, 15},                                             // all edges end with the same second
		"rarely": {6, 15, 15, 30},                                           // each with its own
		"both":   append([]float64{1}, slices.Repeat([]float64{20}, 15)...), // as long as the one quick target is there
	} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprint(name, seed), func(t *testing.T) { compareKept(t, rand.New(rand.NewPCG(seed, 7)), every) })
		}
	}
}

func compareKept(t *testing.T, rng *rand.Rand, every []float64) {
	opt := Options{History: time.Duration(160+rng.IntN(100)) * time.Second}
	kept, anew := New(opt), New(opt)
	queries := []Query{
		{},
		{Group: ByNamespace},
		{Most: 5}, // less than there are namespaces
		{Most: 12},
		{Most: 30, Expand: []string{"namespace:ns2"}},
		{Focus: "workload:ns1/w4", Hops: 2},
		{Window: opt.History - time.Minute},
	}
	for len(queries) < 18 {
		queries = append(queries, anyQuery(t, rng))
	}
	m := newShaky(rng, every)
	reused := 0
	for tick := range 200 {
		m.step(float64(tick), kept, anew)
		at := after(m.clock(float64(tick) + rng.Float64()))
		if rng.IntN(30) == 0 { // a look back does no harm
			kept.View(queries[rng.IntN(len(queries))], after(m.clock(float64(tick)*rng.Float64())))
		}
		for i, q := range queries {
			if rng.IntN(8) > 0 {
				continue
			}
			before := kept.plans[keyOf(&Query{Group: ByWorkload, Window: 30 * time.Second})]
			clear(anew.plans)
			got, want := kept.View(q, at), anew.View(q, at)
			if i == 0 && before != nil && kept.plans[before.key] == before {
				reused++
			}
			if want, got := undated(&want), undated(&got); want != got {
				t.Fatalf("second %d, query %+v (-anew +kept):\n%s", tick, q, cmp.Diff(want, got))
			}
		}
	}
	if reused < 5 {
		t.Errorf("only %d views were made of what was kept: the test tells nothing", reused)
	}
}

// anyQuery asks for anything that can be asked for.
func anyQuery(t *testing.T, rng *rand.Rand) Query {
	t.Helper()
	maybe := func(list ...string) string {
		if rng.IntN(2) == 0 {
			return ""
		}
		return list[rng.IntN(len(list))]
	}
	find := func(text string) *expr.Expr {
		if text == "" {
			return nil
		}
		e, err := ParseFind(text)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	conditions := []string{"rps < 3", "errors > 1%", "p95 > 1.5ms and not idle", "namespace = ns1", "unknown or tcp"}
	q := Query{
		Group:        Groups()[rng.IntN(len(Groups()))],
		Window:       time.Duration(rng.IntN(3)*rng.IntN(50)) * time.Second,
		ServiceNodes: rng.IntN(3) == 0,
		Most:         rng.IntN(2) * rng.IntN(60),
		Focus:        maybe("workload:ns1/w1", "namespace:ns2", "app:ns0/a2", "service:w3.ns3"),
		Hops:         rng.IntN(3),
		Find:         find(maybe(conditions...)),
	}
	if id := maybe("namespace:ns1", "namespace:ns3", "unknown"); id != "" {
		q.Expand = []string{id}
	}
	if ns := maybe("ns0", "ns1"); ns != "" {
		q.Namespaces = []string{ns, "ns2"}
	}
	if rng.IntN(2) == 0 {
		q.Hide = find(maybe(conditions...))
	} else {
		q.Filter = find(maybe(conditions...))
	}
	return q
}

// Where scrapes are rare, a second costs what was scraped in it: each edge is
// read anew when one of its two ends was, and no other.
func TestOnlyWhatWasScrapedIsMadeAnew(t *testing.T) {
	const workloads, every = 60, 15
	e := New(Options{})
	w := func(i int) mesh.Workload { return mesh.Workload{Namespace: "ns", Name: fmt.Sprint("w", i%workloads)} }
	delta := func(side mesh.Reporter, from, to int) mesh.EdgeDelta {
		return mesh.EdgeDelta{
			Key:      mesh.EdgeKey{Reporter: side, Source: w(from), Target: w(to), Protocol: mesh.HTTP, Service: mesh.Service{Host: w(to).Name}},
			Requests: map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 30},
		}
	}
	scrape := func(second int) {
		for i := range workloads {
			if i%every == second%every {
				e.Add(mesh.EdgeBatch{
					Target: fmt.Sprint("t", i), Workload: w(i), At: after(float64(second) + 0.5), Up: true, Interval: every * time.Second,
					Deltas: []mesh.EdgeDelta{
						delta(mesh.FromSource, i, i+1), delta(mesh.FromSource, i, i+7),
						delta(mesh.FromDestination, i+workloads-1, i), delta(mesh.FromDestination, i+workloads-7, i),
					},
				})
			}
		}
	}
	for second := range 60 {
		scrape(second)
	}
	e.View(Query{}, after(60))
	for second := 60; second < 75; second++ {
		p := e.plans[keyOf(&Query{Group: ByWorkload, Window: 30 * time.Second})]
		before := map[string]*counted{}
		for _, g := range p.all {
			before[g.id] = g.counted
		}
		scrape(second)
		e.View(Query{}, after(float64(second)+1))
		made := 0
		for _, g := range p.all {
			if g.counted != before[g.id] {
				made++
			}
		}
		if scraped := workloads / every * 4; made != scraped {
			t.Errorf("second %d: %d of %d edges were made anew, %d have an end that was scraped", second, made, len(p.all), scraped)
		}
	}
}

// undated is a view without the begin of what is wrong: what is kept still
// knows the second, the rings only ten of them, which may join two spells, or
// nothing at all where the errors are newer than what all pairs are read up to.
func undated(v *View) string {
	return since.ReplaceAllString(string(v.AppendJSON(nil)), "")
}

var since = regexp.MustCompile(`,?"since":"[^"]*"`)

// shaky is a mesh in which everything happens that may.
type shaky struct {
	rng     *rand.Rand
	targets []*shakyTarget
	facts   Facts
	behind  float64 // by how much the collector's clock was set back
}

func (m *shaky) clock(now float64) float64 { return now - m.behind }

type shakyTarget struct {
	workload      int
	every, offset float64
	down          float64 // until when
	last          float64
	setBack       bool
}

// newShaky makes one whose targets are scraped every so many seconds.
func newShaky(rng *rand.Rand, every []float64) *shaky {
	m := &shaky{rng: rng}
	for i := range 16 {
		m.targets = append(m.targets, &shakyTarget{workload: i % 14, every: every[i%len(every)], offset: rng.Float64()})
	}
	m.changeFacts()
	return m
}

func (m *shaky) workload(i int) mesh.Workload {
	return mesh.Workload{Namespace: fmt.Sprint("ns", i%4), Name: fmt.Sprint("w", i), App: fmt.Sprint("a", i/2)}
}

func (m *shaky) host(i int) string { return fmt.Sprintf("w%d.ns%d", i, i%4) }

func (m *shaky) changeFacts() {
	f := Facts{Services: map[string]ServiceFacts{}, Workloads: map[string]WorkloadFacts{}, Objectives: map[string]Objective{}}
	for i := range 18 {
		w := m.workload(i)
		state := "synced"
		if m.rng.IntN(12) == 0 {
			state = "rejected"
		}
		f.Workloads[w.ID()] = WorkloadFacts{Workload: w, Meshed: i < 14, Config: &ConfigState{State: state, Nodes: 1}}
		f.Services[m.host(i)] = ServiceFacts{Service: mesh.Service{Host: m.host(i), Namespace: w.Namespace, Name: w.Name}, Workloads: []string{w.ID()}}
	}
	if m.rng.IntN(2) == 0 {
		f.Outliers = append(f.Outliers, Outlier{Node: "n", Caller: m.workload(1).ID(), Host: m.host(4), Ejected: 1 + m.rng.IntN(3)})
	}
	if m.rng.IntN(3) == 0 {
		f.Splits = append(f.Splits, Split{Host: m.host(2), Shares: []Share{{[]string{m.workload(2).ID()}, 90}, {[]string{m.workload(3).ID()}, 10}}})
		f.Mirrors = append(f.Mirrors, Mirror{m.host(5), []string{m.workload(6).ID()}})
		f.Objectives[m.host(7)] = Objective{Host: m.host(7), Object: "o", Quantile: 0.95, LatencyMS: 1, Availability: 0.999, Tolerances: []Tolerance{{"5xx", 0.2, 0.5}}}
	}
	m.facts = f
}

func (m *shaky) step(now float64, engines ...*Engine) {
	if m.rng.IntN(25) == 0 {
		m.changeFacts()
	}
	for _, e := range engines {
		e.SetFacts(m.facts)
	}
	if m.rng.IntN(150) == 0 {
		m.behind += 15
		for _, t := range m.targets {
			t.setBack = true
		}
	}
	for i, t := range m.targets {
		at := now + t.offset
		if at-t.last < t.every && t.last > 0 {
			continue
		}
		address := fmt.Sprint("t", i)
		if m.rng.IntN(80) == 0 {
			t.down = at + 10 + 20*m.rng.Float64()
		}
		if m.rng.IntN(200) == 0 {
			for _, e := range engines {
				e.ForgetTarget(address)
			}
		}
		if m.rng.IntN(300) == 0 {
			t.workload = m.rng.IntN(16) // another takes its address
		}
		b := mesh.EdgeBatch{Target: address, Workload: m.workload(t.workload), At: after(m.clock(at)), Up: at >= t.down, Error: "refused", SetBack: t.setBack}
		t.setBack = false
		if m.rng.IntN(100) == 0 && b.Up {
			b.At = b.At.Add(-time.Duration(m.rng.IntN(150)) * time.Second) // late, or again
		}
		if b.Up {
			if t.last > 0 {
				b.Interval = time.Duration((at - t.last) * float64(time.Second))
			}
			t.last = at
			b.Deltas = m.deltas(t.workload, now)
		}
		for _, e := range engines {
			e.Add(b)
		}
	}
}

// deltas are what the sidecar of a workload counts: three calls on each side, of
// which some are of kinds of their own.
func (m *shaky) deltas(w int, now float64) []mesh.EdgeDelta {
	var out []mesh.EdgeDelta
	for j := range 3 {
		for _, side := range []mesh.Reporter{mesh.FromSource, mesh.FromDestination} {
			from, to := w, (w*3+j*j+1)%17
			if side == mesh.FromDestination {
				from, to = (w+5*j+3)%15, w
			}
			if j == 2 && now < 40+float64(w) || m.rng.IntN(10) == 0 {
				continue // edges that come later, and gaps
			}
			d := mesh.EdgeDelta{Key: mesh.EdgeKey{
				Reporter: side, Source: m.workload(from), Target: m.workload(to), Protocol: mesh.HTTP,
				Service: mesh.Service{Host: m.host(to)},
			}}
			d.SentBytes, d.ActiveConnections = 100, float64(m.rng.IntN(4))
			switch kind := (from + to) % 9; {
			case w%5 == 0 && j == 1:
				d.Key.Protocol, d.Key.Service = mesh.TCP, mesh.Service{}
				if side == mesh.FromDestination {
					d.Key.Source = mesh.Workload{}
				}
				d.TCPOpened = float64(m.rng.IntN(3))
				d.Requests = map[mesh.Outcome]float64{{Flags: "UF"}: float64(m.rng.IntN(6) / 5)}
				out = append(out, d)
				continue
			case kind < 3 && side == mesh.FromDestination:
				d.Key.Service = mesh.Service{} // does not know what was called
			case kind == 4:
				d.Key.Service.Host = "alias." + d.Key.Service.Host
			case kind == 5 && side == mesh.FromSource:
				d.Key.Target = mesh.Workload{} // never reached one
			case kind > 6:
				d.Key.Protocol = mesh.GRPC
			}
			if w%2 == 0 {
				d.Key.Security = "mutual_tls"
			}
			n := float64(m.rng.IntN(20))
			if m.rng.IntN(500) == 0 {
				n = 1e14 // a lie, after which sums are right again
			}
			d.Requests = map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: n, {Code: 503, Flags: "UF"}: float64(m.rng.IntN(40) / 37)}
			if d.Key.Protocol == mesh.GRPC {
				d.Requests[mesh.Outcome{Code: 200, GRPC: "14", Flags: "-"}] = float64(m.rng.IntN(9) / 5)
			}
			d.Responses = map[mesh.Outcome]float64{{Code: 200, Flags: "-", AnsweredBy: "upstream"}: n}
			d.Latency.Buckets = []mesh.Bucket{{Lower: 1, Upper: 2, Count: n}, {Lower: 2, Upper: 4, Count: float64(m.rng.IntN(3))}}
			out = append(out, d)
		}
	}
	return out
}
