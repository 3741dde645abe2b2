package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// shapes say whom workload i of n calls, j of three times.
var shapes = map[string]func(i, j, n int) int{
	"breadth": func(i, j, n int) int { return (i*9 + j + 1) % n },
	"depth":   func(i, j, n int) int { return (i + j + 1) % n },
	"hourglass": func(i, j, n int) int { // many, few, many
		waist := max(3, n/100)
		if i < n/2 {
			return n/2 + (i+j)%waist
		}
		return n/2 + waist + (i*3+j)%(n-n/2-waist)
	},
	"hub":    func(_, j, _ int) int { return j },
	"random": func(i, j, n int) int { return rand.New(rand.NewPCG(uint64(i), uint64(j))).IntN(n) },
}

// fleet is a synthetic mesh whose sidecars are scraped every interval.
type fleet struct {
	shape                 string
	namespaces, workloads int
	interval              time.Duration
	batches               []mesh.EdgeBatch
}

func (f *fleet) build() {
	f.batches = make([]mesh.EdgeBatch, f.workloads)
	for i := range f.workloads {
		f.batches[i] = mesh.EdgeBatch{Target: fmt.Sprintf("10.0.%d.%d:15020", i/250, i%250), Workload: f.workload(i), Up: true, Interval: f.interval}
	}
	for i := range f.workloads {
		for j := range 3 {
			to := shapes[f.shape](i, j, f.workloads)
			f.batches[i].Deltas = append(f.batches[i].Deltas, f.delta(mesh.FromSource, i, to))
			f.batches[to].Deltas = append(f.batches[to].Deltas, f.delta(mesh.FromDestination, i, to))
		}
	}
}

func (f *fleet) workload(i int) mesh.Workload {
	return mesh.Workload{Namespace: fmt.Sprint("ns", i%f.namespaces), Name: fmt.Sprint("app", i, "-v1"), App: fmt.Sprint("app", i), Version: "v1"}
}

func (f *fleet) delta(side mesh.Reporter, from, to int) mesh.EdgeDelta {
	target, seconds := f.workload(to), f.interval.Seconds()
	d := mesh.EdgeDelta{Attempts: 12 * seconds, NewConnections: seconds, SentBytes: 1000 * seconds, ReceivedBytes: 90000 * seconds}
	d.Key = mesh.EdgeKey{
		Reporter: side, Source: f.workload(from), Target: target, Protocol: mesh.HTTP, Security: "mutual_tls",
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

// scrape publishes what is due in (from, to], each target at its own moment.
func (f *fleet) scrape(a *App, from, to time.Time) {
	n := len(f.batches)
	for t := from.Truncate(f.interval); t.Before(to); t = t.Add(f.interval) {
		for i := range f.batches {
			at := t.Add(f.interval * time.Duration(i) / time.Duration(n))
			if at.After(from) && !at.After(to) {
				b := f.batches[i]
				b.At = at
				a.Publish(b)
			}
		}
	}
}

// BenchmarkGraph reads the graph of synthetic fleets through the API, over a
// real socket, and prints a table and its goals: make bench-graph.
func BenchmarkGraph(b *testing.B) {
	if b.N > 1 {
		b.Skip("prints one table")
	}
	fmt.Printf("%-26s %9s %8s | %8s %8s | %8s %8s %8s | %8s %8s\n", "fleet", "view", "elements", "first", "CPU first",
		"1 p99", "100 p99", "CPU/read", "delta", "held")
	fmt.Printf("%-26s %9s %8s | %8s %8s | %8s %8s %8s | %8s %8s\n", "", "", "", "ms", "ms", "ms", "ms", "ms", "CPU ms", "KB/wl")
	for _, f := range []*fleet{
		{shape: "random", namespaces: 10, workloads: 1000, interval: 15 * time.Second},
		{shape: "random", namespaces: 400, workloads: 10000, interval: 15 * time.Second},
		{shape: "breadth", namespaces: 10, workloads: 1000, interval: 15 * time.Second},
		{shape: "depth", namespaces: 10, workloads: 1000, interval: 15 * time.Second},
		{shape: "hourglass", namespaces: 100, workloads: 1000, interval: 15 * time.Second},
		{shape: "hub", namespaces: 100, workloads: 1000, interval: 15 * time.Second},
		{shape: "random", namespaces: 800, workloads: 20000, interval: 15 * time.Second},
	} {
		if only := os.Getenv("FLEET"); only != "" && !strings.Contains(f.String(), only) {
			continue
		}
		f.build()
		benchFleet(b, f)
		f.batches = nil
	}
}

func (f *fleet) String() string {
	return fmt.Sprintf("%s %d/%d %s", f.shape, f.namespaces, f.workloads, f.interval)
}

func benchFleet(b *testing.B, f *fleet) {
	before := heap()
	a, stop := runApp(b)
	defer stop()
	began := time.Now()
	f.scrape(a, began.Add(-110*time.Second), began)
	held := (heap() - before) / 1024 / float64(f.workloads)
	done := make(chan struct{})
	var feeding sync.WaitGroup
	var paused sync.Mutex // while the CPU of reads alone is measured
	feeding.Go(func() {
		last := began
		for {
			select {
			case <-done:
				return
			case now := <-time.After(50 * time.Millisecond):
				paused.Lock()
				f.scrape(a, last, now)
				paused.Unlock()
				last = now
			}
		}
	})
	defer feeding.Wait()
	defer close(done)
	base := "http://" + a.Addrs().API + "/api/v1/graph?"
	idle := idleCPU()
	for i, view := range []struct{ name, query string }{{"whole", "group=workload"}, {"rolled up", "max=400"}} {
		if i > 0 {
			if f.shape != "random" {
				break // what shape a mesh has is told by the whole of it
			}
			time.Sleep(viewKept)
		}
		delta := deltaCPU(b, a.Addrs().API, view.query, idle)
		m := measure(b, base, view.query, &paused)
		m.delta = delta
		fmt.Printf("%-26s %9s %8d | %8.1f %8.1f | %8.1f %8.1f %8.2f | %8.1f %8.1f\n", f, view.name, m.elements,
			m.first, m.cpuFirst, m.one, m.hundred, m.cpuRead, m.delta, held)
		m.goals(f, view.name)
	}
	reading.CloseIdleConnections()
}

// reading is what a browser does: many connections, compressed answers. What
// it costs to unpack them is not the server's.
var reading = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true}}

func fetch(b *testing.B, url string, packed bool) string {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	if packed {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := reading.Do(req)
	if err != nil {
		b.Error(err)
		return ""
	}
	defer resp.Body.Close()
	if packed { // what a client does with it is not the server's
		_, err = io.Copy(io.Discard, resp.Body)
	}
	body, err2 := io.ReadAll(resp.Body)
	if err = errors.Join(err, err2); err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("%s: %s %v", url, resp.Status, err)
	}
	return string(body)
}

type measured struct {
	elements                                      int
	first, cpuFirst, cpuRead, one, hundred, delta float64
}

func measure(b *testing.B, base, query string, paused *sync.Mutex) (m measured) {
	m.elements = strings.Count(fetch(b, base+query, false), `"health":{`)
	const reads = 5
	paused.Lock()
	cpu, began := cpuMS(), time.Now()
	for i := range reads { // a window that nobody has asked for, at a moment of its own: nothing is shared, nothing is kept
		fetch(b, fmt.Sprintf("%s%s&window=%ds&at=%s", base, query, 40+i, time.Now().UTC().Format(time.RFC3339Nano)), false)
	}
	m.cpuFirst, m.first = (cpuMS()-cpu)/reads, msSince(began)/reads
	paused.Unlock()
	fetch(b, base+query, true)
	m.one, _ = viewers(b, 1, base+query)
	m.hundred, m.cpuRead = viewers(b, 100, base+query)
	return m
}

// viewKept is longer than a view is made ahead after the last question.
const viewKept = 5500 * time.Millisecond

// viewers reads for two seconds, each viewer twice a second, and gives the
// 99th percentile and the CPU of a read, client and scraping included.
func viewers(b *testing.B, n int, url string) (p99, cpu float64) {
	var mu sync.Mutex
	var times []float64
	var all sync.WaitGroup
	began := cpuMS()
	for i := range n {
		all.Go(func() {
			time.Sleep(time.Duration(i) * 500 * time.Millisecond / time.Duration(n))
			for range 4 {
				at := time.Now()
				fetch(b, url, true)
				took := msSince(at)
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
				time.Sleep(500*time.Millisecond - time.Since(at))
			}
		})
	}
	all.Wait()
	slices.Sort(times)
	return times[len(times)*99/100], (cpuMS() - began) / float64(len(times))
}

// idleCPU gives the CPU that the fleet and the server take a second.
func idleCPU() float64 {
	const seconds = 3
	cpu := cpuMS()
	time.Sleep(seconds * time.Second)
	return (cpuMS() - cpu) / seconds
}

// deltaCPU gives what one live view costs a second: the CPU with a subscriber,
// less that without.
func deltaCPU(b *testing.B, api, query string, idle float64) float64 {
	const seconds = 4
	header := http.Header{"Origin": {"http://" + api}}
	ws, resp, err := (&websocket.Dialer{Subprotocols: []string{"sidelight.v1"}}).Dial("ws://"+api+"/api/v1/live", header)
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	defer ws.Close()
	params := map[string]any{"group": "workload"}
	if most, ok := strings.CutPrefix(query, "max="); ok {
		params = map[string]any{"max": json.Number(most)}
	}
	if err := ws.WriteJSON(map[string]any{"op": "subscribe", "id": "g", "channel": "graph", "params": params}); err != nil {
		b.Fatal(err)
	}
	read := func() {
		if _, r, err := ws.NextReader(); err != nil {
			b.Error(err)
		} else {
			_, _ = io.Copy(io.Discard, r)
		}
	}
	read() // hello or snapshot
	read()
	busy := cpuMS()
	for range seconds {
		read()
	}
	return (cpuMS()-busy)/seconds - idle
}

func (m *measured) goals(f *fleet, view string) {
	goal := func(name string, value, bound float64) {
		verdict := "met"
		if value > bound {
			verdict = "missed"
		}
		fmt.Printf("goal graph %s, %s, %s: %s %s %s\n", f, view, name, strconv.FormatFloat(value, 'f', 1, 64), strconv.FormatFloat(bound, 'f', 0, 64), verdict)
	}
	bound := 0.0
	switch {
	case f.workloads == 1000 && view == "whole":
		bound = 15
	case f.workloads == 10000 && view == "whole":
		bound = 250
	case f.workloads == 10000:
		bound = 30
	default:
		return
	}
	goal("p99 with 1 viewer in ms", m.one, bound)
	goal("p99 with 100 viewers in ms", m.hundred, bound)
	goal("CPU of a delta in ms", m.delta, 10)
}

func runApp(b *testing.B) (*App, func()) {
	a, err := New(Options{ConfigDir: b.TempDir(), API: "127.0.0.1:0", Admin: "127.0.0.1:0", XDS: "127.0.0.1:0", Secure: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	return a, func() { cancel(); running.Wait() }
}

func heap() float64 {
	for range 3 { // what has a finalizer, or was pooled, goes later
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func cpuMS() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func msSince(t time.Time) float64 { return float64(time.Since(t)) / 1e6 }
