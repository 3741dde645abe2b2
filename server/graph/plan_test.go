package graph

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// A view that is kept up to date is the view that would be made anew, whatever
// happens meanwhile.
func TestKeptViewsAreTheViewsMadeAnew(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { compareKept(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func compareKept(t *testing.T, rng *rand.Rand) {
	kept, anew := New(Options{}), New(Options{})
	hide, err := ParseFind("rps < 3")
	if err != nil {
		t.Fatal(err)
	}
	queries := []Query{
		{},
		{Group: ByApp, Namespaces: []string{"ns1"}},
		{Group: ByService},
		{Group: ByNamespace},
		{ServiceNodes: true, Find: hide},
		{Most: 12},
		{Most: 30, Expand: []string{"namespace:ns2"}},
		{Focus: "workload:ns1/w4", Hops: 2},
		{Window: 5 * time.Minute},
		{Hide: hide},
	}
	m := newShaky(rng)
	reused := 0
	for tick := range 160 {
		m.step(float64(tick), kept, anew)
		at := after(float64(tick) + rng.Float64())
		if tick == 130 { // a look back does no harm
			back := after(90)
			kept.View(Query{}, back)
			anew.View(Query{}, back)
		}
		for i, q := range queries {
			if (tick+i)%5 > 0 && tick > 20 {
				continue
			}
			before := kept.plans[keyOf(&Query{Group: ByWorkload, Window: 30 * time.Second})]
			clear(anew.plans)
			got, want := kept.View(q, at), anew.View(q, at)
			if i == 0 && before != nil && kept.plans[before.key] == before {
				reused++
			}
			if want, got := datedByTens(&want), datedByTens(&got); want != got {
				t.Fatalf("second %d, query %d (-anew +kept):\n%s", tick, i, cmp.Diff(want, got))
			}
		}
	}
	if reused < 5 {
		t.Errorf("only %d views were made of what was kept: the test tells nothing", reused)
	}
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

// datedByTens is a view with the begin of what is wrong to ten seconds: what is
// kept still knows the second, the rings have forgotten it.
func datedByTens(v *View) string {
	text := v.AppendJSON(nil)
	for i := 1; i < len(text); i++ {
		if text[i] == 'Z' && text[i-1] >= '0' && text[i-1] <= '9' {
			text[i-1] = '0'
		}
	}
	return string(text)
}

// shaky is a mesh in which everything happens that may.
type shaky struct {
	rng     *rand.Rand
	targets []*shakyTarget
	facts   Facts
}

type shakyTarget struct {
	workload      int
	every, offset float64
	down          float64 // until when
	last          float64
}

func newShaky(rng *rand.Rand) *shaky {
	m := &shaky{rng: rng}
	for i := range 16 {
		m.targets = append(m.targets, &shakyTarget{workload: i % 14, every: []float64{1, 1, 5, 15}[i%4], offset: rng.Float64()})
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
		b := mesh.EdgeBatch{Target: address, Workload: m.workload(t.workload), At: after(at), Up: at >= t.down, Error: "refused"}
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
			if w%5 == 0 && j == 1 {
				d.Key.Protocol, d.Key.Service = mesh.TCP, mesh.Service{}
				if side == mesh.FromDestination {
					d.Key.Source = mesh.Workload{}
				}
				d.TCPOpened, d.SentBytes, d.ActiveConnections = float64(m.rng.IntN(3)), 100, float64(m.rng.IntN(4))
				out = append(out, d)
				continue
			}
			n := float64(m.rng.IntN(20))
			d.Requests = map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: n, {Code: 503, Flags: "UF"}: float64(m.rng.IntN(40) / 37)}
			d.Responses = map[mesh.Outcome]float64{{Code: 200, Flags: "-", AnsweredBy: "upstream"}: n}
			d.Latency.Buckets = []mesh.Bucket{{Lower: 1, Upper: 2, Count: n}, {Lower: 2, Upper: 4, Count: float64(m.rng.IntN(3))}}
			out = append(out, d)
		}
	}
	return out
}
