package graph

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// busy is a mesh of n workloads and three edges each, both sides reporting
// every second for a minute and a half.
func busy(n int) *Engine {
	e := New(Options{})
	w := func(i int) mesh.Workload {
		return mesh.Workload{Namespace: fmt.Sprint("ns", i%50), Name: fmt.Sprint("app", i, "-v1"), App: fmt.Sprint("app", i), Version: "v1"}
	}
	delta := func(side mesh.Reporter, from, to int) mesh.EdgeDelta {
		target := w(to)
		d := mesh.EdgeDelta{Attempts: 12, NewConnections: 1, SentBytes: 1000, ReceivedBytes: 90000}
		d.Key = mesh.EdgeKey{
			Reporter: side, Source: w(from), Target: target, Protocol: mesh.HTTP, Security: "mutual_tls",
			Service: mesh.Service{Host: target.App + "." + target.Namespace + ".svc.cluster.local", Namespace: target.Namespace, Name: target.App},
		}
		d.Requests = map[mesh.Outcome]float64{{Code: 200, Flags: "-"}: 10}
		d.Responses = map[mesh.Outcome]float64{{Code: 200, Flags: "-", AnsweredBy: "upstream"}: 10}
		if from%10 == 0 {
			d.Requests[mesh.Outcome{Code: 503, Flags: "UF"}] = 1
			d.Responses[mesh.Outcome{Code: 503, Flags: "UF", AnsweredBy: "proxy", Details: "upstream_connection_failure"}] = 1
		}
		for i := range 8 {
			low := 1.5 * float64(i+1+from%4)
			d.Latency.Buckets = append(d.Latency.Buckets, mesh.Bucket{Lower: low, Upper: low * 1.09, Count: 1.25})
		}
		return d
	}
	batches := make([]mesh.EdgeBatch, n)
	for i := range n {
		batches[i] = mesh.EdgeBatch{Target: fmt.Sprint("t", i), Workload: w(i), Up: true, Interval: time.Second}
		for j := range 3 {
			batches[i].Deltas = append(batches[i].Deltas,
				delta(mesh.FromSource, i, (i*7+j*13+1)%n))
		}
	}
	for i := range n {
		for j := range 3 {
			to := (i*7 + j*13 + 1) % n
			batches[to].Deltas = append(batches[to].Deltas, delta(mesh.FromDestination, i, to))
		}
	}
	for second := range 95 {
		for i := range batches {
			batches[i].At = after(float64(second) + float64(i)/float64(n))
			e.Add(batches[i])
		}
	}
	return e
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
