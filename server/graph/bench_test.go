package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// herd is a mesh of n workloads and three edges each, both sides reporting.
type herd struct {
	engine  *Engine
	every   int // seconds between scrapes
	batches []mesh.EdgeBatch
	rng     *rand.Rand
}

func newHerd(n, every int) *herd {
	h := &herd{engine: New(Options{}), every: every, batches: make([]mesh.EdgeBatch, n), rng: rand.New(rand.NewPCG(3, 4))}
	w := func(i int) mesh.Workload {
		return mesh.Workload{Namespace: fmt.Sprint("ns", i%max(n/25, 10)), Name: fmt.Sprint("app", i, "-v1"), App: fmt.Sprint("app", i), Version: "v1"}
	}
	seconds := float64(every)
	delta := func(side mesh.Reporter, from, to int) mesh.EdgeDelta {
		target := w(to)
		d := mesh.EdgeDelta{Attempts: 12 * seconds, NewConnections: seconds, SentBytes: 1000 * seconds, ReceivedBytes: 90000 * seconds}
		d.Key = mesh.EdgeKey{
			Reporter: side, Source: w(from), Target: target, Protocol: mesh.HTTP, Security: "mutual_tls",
			Service: mesh.Service{Host: target.App + "." + target.Namespace + ".svc.cluster.local", Namespace: target.Namespace, Name: target.App},
		}
		d.Requests = map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 10 * seconds}
		d.Responses = map[mesh.Outcome]float64{{Code: 200, Flags: "-", AnsweredBy: "upstream"}: 10 * seconds}
		if from%10 == 0 {
			d.Requests[mesh.Outcome{Code: 503, Flags: "UF"}] = seconds
			d.Responses[mesh.Outcome{Code: 503, Flags: "UF", AnsweredBy: "proxy", Details: "upstream_connection_failure"}] = seconds
		}
		for i := range 8 {
			low := 1.5 * float64(i+1+from%4)
			d.Latency.Buckets = append(d.Latency.Buckets, mesh.Bucket{Lower: low, Upper: low * 1.09, Count: 1.25 * seconds})
		}
		return d
	}
	for i := range n {
		h.batches[i] = mesh.EdgeBatch{Target: fmt.Sprint("t", i), Workload: w(i), Up: true, Interval: time.Duration(every) * time.Second}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		for range 3 {
			to := rng.IntN(n)
			h.batches[i].Deltas = append(h.batches[i].Deltas, delta(mesh.FromSource, i, to))
			h.batches[to].Deltas = append(h.batches[to].Deltas, delta(mesh.FromDestination, i, to))
		}
	}
	return h
}

// vary makes a scrape tell of other traffic than the last one did.
func (h *herd) vary(b *mesh.EdgeBatch) {
	for i := range b.Deltas {
		d := &b.Deltas[i]
		n := float64(h.rng.IntN(20) * h.every)
		d.Requests[mesh.Outcome{Code: 200, Flags: "-"}] = n
		d.Responses[mesh.Outcome{Code: 200, Flags: "-", AnsweredBy: "upstream"}] = n
		d.Attempts, d.SentBytes, d.ReceivedBytes = n, 100*n, 9000*n
		for j := range d.Latency.Buckets {
			d.Latency.Buckets[j].Count = n / 8
		}
	}
}

// scrape feeds what is due from one second to another, each target at its own moment.
func (h *herd) scrape(from, to float64) {
	every, n := float64(h.every), float64(len(h.batches))
	for i := range h.batches {
		at := float64(i) / n * every
		for at += every * math.Ceil(max(from-at, 0)/every); at < to; at += every {
			h.batches[i].At = after(at)
			h.vary(&h.batches[i])
			h.engine.Add(h.batches[i])
		}
	}
}

// busy is a herd that was scraped every second for a minute and a half.
func busy(n int) *Engine {
	h := newHerd(n, 1)
	for second := range 95 {
		h.scrape(float64(second), float64(second+1))
	}
	return h.engine
}

// BenchmarkDelta is what brings a view of 10,000 workloads up to date, by how
// many of its 30,000 edges have changed: an edge does when either end was
// scraped. Scrapes are not counted, the JSON of what changed is.
func BenchmarkDelta(b *testing.B) {
	var goals []string
	for _, of := range []struct {
		name  string
		every int
		step  float64
	}{{"one scrape", 15, 0.0015}, {"1%", 20, 0.1}, {"13%", 15, 1}, {"100%", 2, 1}} {
		b.Run(of.name, func(b *testing.B) {
			h := newHerd(10000, of.every)
			now := 95.0
			for second := range 95 {
				h.scrape(float64(second), float64(second+1))
			}
			for _, q := range []struct {
				name string
				Query
			}{{"whole", Query{}}, {"rolled up", Query{Most: 400}}} {
				b.Run(q.name, func(b *testing.B) {
					b.ReportAllocs()
					update := func() {
						v := h.engine.View(q.Query, after(now))
						for _, n := range v.Nodes {
							n.JSON()
						}
						for _, e := range v.Edges {
							e.JSON()
						}
					}
					update()
					cpu := 0.0
					for b.Loop() {
						b.StopTimer()
						h.scrape(now, now+of.step)
						now += of.step
						b.StartTimer()
						cpu -= cpuMS()
						update()
						cpu += cpuMS()
					}
					cpu /= float64(b.N) // the collector of garbage included
					b.ReportMetric(cpu, "CPU-ms/op")
					verdict := "met"
					if cpu > deltaGoal {
						verdict = "missed"
					}
					if of.every == 15 {
						goals = append(goals, fmt.Sprintf("goal delta, %s, %s, CPU in ms: %.1f %d %s", of.name, q.name, cpu, deltaGoal, verdict))
					}
				})
			}
		})
	}
	fmt.Println(strings.Join(goals, "\n"))
}

// deltaGoal is the CPU that a second of scrapes, or one of them, may cost.
const deltaGoal = 10

func cpuMS() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func BenchmarkView(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		var before, after_ runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		e := busy(n)
		runtime.GC()
		runtime.ReadMemStats(&after_)
		held := float64(after_.HeapAlloc-before.HeapAlloc) / (1 << 20)
		for _, group := range []Group{ByWorkload, ByNamespace} {
			b.Run(fmt.Sprintf("%d_workloads/by_%s", n, group), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					v := e.View(Query{Group: group}, after(95))
					if len(v.Edges) == 0 {
						b.Fatal("empty view")
					}
				}
				b.ReportMetric(held, "held-MB") // by the rings, for a minute and a half of it
			})
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	e := busy(10)
	batch := mesh.EdgeBatch{Target: "t1", Up: true, Interval: time.Second}
	for key := range e.edges.bySeries {
		batch.Deltas = append(batch.Deltas, mesh.EdgeDelta{Key: key, Requests: map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 10}})
		if len(batch.Deltas) == 6 {
			break
		}
	}
	b.ReportAllocs()
	second := 100.0
	for b.Loop() {
		second++
		batch.At = after(second)
		e.Add(batch)
	}
}
