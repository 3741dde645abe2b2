package scrape

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started by a package of the cloud SDKs that Prometheus' configuration links.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// inbox keeps the batches by target and tells of new ones.
type inbox struct {
	mu       sync.Mutex
	byTarget map[string][]mesh.EdgeBatch
	news     chan struct{}
}

func newInbox() *inbox {
	return &inbox{byTarget: make(map[string][]mesh.EdgeBatch), news: make(chan struct{}, 1)}
}

func (in *inbox) put(b mesh.EdgeBatch) {
	in.mu.Lock()
	in.byTarget[b.Target] = append(in.byTarget[b.Target], b)
	in.mu.Unlock()
	select {
	case in.news <- struct{}{}:
	default:
	}
}

func (in *inbox) of(target string) []mesh.EdgeBatch {
	in.mu.Lock()
	defer in.mu.Unlock()
	return append([]mesh.EdgeBatch(nil), in.byTarget[target]...)
}

// until waits for batches of a target that satisfy ok.
func (in *inbox) until(t *testing.T, target string, ok func([]mesh.EdgeBatch) bool) []mesh.EdgeBatch {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if got := in.of(target); ok(got) {
			return got
		}
		select {
		case <-in.news:
		case <-deadline:
			t.Fatalf("target %s: waited in vain; got %+v", target, in.of(target))
		}
	}
}

func count(n int) func([]mesh.EdgeBatch) bool {
	return func(b []mesh.EdgeBatch) bool { return len(b) >= n }
}

// start runs a scraper on a real store and stops it, within a bound, when the
// test ends.
func start(t *testing.T, o Options) (*Scraper, *metrics.Store, *inbox) {
	t.Helper()
	store, err := metrics.Open(metrics.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	in := newInbox()
	o.Store, o.Publish = store, in.put
	if o.Interval == 0 {
		o.Interval = 100 * time.Millisecond
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		stopping := time.Now()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(stopping); took > 2*time.Second {
			t.Errorf("stopping took %s", took)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s, store, in
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	// Handlers that hang end with their request; the scraper has stopped by
	// then, as cleanups run last in, first out.
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// TestRealTarget scrapes a sidecar's library over HTTP in protobuf, and finds
// every request of it in the edges and in the store.
func TestRealTarget(t *testing.T) {
	p := startProcess(time.Now())
	var accept atomic.Value
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		accept.Store(r.Header.Get("Accept"))
		promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
	live, source := changing()
	s, store, in := start(t, Options{Sources: []target.Source{source}})
	live([]target.Target{{
		Address: addr, Node: "web-1", Workload: mesh.Workload{Namespace: "cinema", Name: "web"},
		Labels: map[string]string{"job": "sidecars"},
	}})
	in.until(t, addr, count(1))

	for range 50 {
		p.requests.WithLabelValues("source", "web", "catalog", "200").Inc()
		p.duration.WithLabelValues("source", "web", "catalog", "200").Observe(12)
	}
	got := in.until(t, addr, func(b []mesh.EdgeBatch) bool { return sumOf(b)["catalog latency"] >= 50 })
	sum := sumOf(got)
	if sum["catalog requests 200"] != 50 || sum["catalog latency"] != 50 || sum["catalog buckets"] != 50 {
		t.Errorf("edges give %v, want 50 requests", sum)
	}
	if b := got[len(got)-1]; !b.Up || b.Node != "web-1" || b.Workload.Name != "web" || b.Interval <= 0 {
		t.Errorf("batch %+v: want up, node, workload and interval", b)
	}
	if !strings.HasPrefix(accept.Load().(string), "application/vnd.google.protobuf") {
		t.Errorf("asked for %q, want protobuf first", accept.Load())
	}
	for _, query := range []string{
		`sum(istio_requests_total{node="web-1",workload="web",namespace="cinema",job="sidecars",instance="` + addr + `"})`,
		`sum(histogram_count(istio_request_duration_milliseconds{node="web-1"}))`,
		`sum(istio_request_duration_milliseconds_bucket{node="web-1",le="+Inf"})`,
	} {
		samples, err := store.Instant(t.Context(), query, time.Now())
		if err != nil || len(samples) != 1 || samples[0].Value != 50 {
			t.Errorf("%s gives %+v, %v, want 50", query, samples, err)
		}
	}
	health := s.Health()
	if len(health) != 1 || !health[0].Up || health[0].Node != "web-1" || health[0].LastScrape.IsZero() {
		t.Errorf("health %+v", health)
	}
	found := false
	for _, m := range s.Metadata() {
		found = found || m.Metric == mesh.MetricRequests && m.Type == "counter"
	}
	if !found {
		t.Errorf("metadata lacks %s: %+v", mesh.MetricRequests, s.Metadata())
	}
}

// TestBadTargets scrapes what can answer badly in every way at once, beside a
// target that is well: each says what is wrong, and the good one is not held
// up.
func TestBadTargets(t *testing.T) {
	long := strings.Repeat("x", 2000)
	bad := map[string]struct {
		serve http.HandlerFunc
		want  string // in the error
	}{
		"garbage": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("\xff\x13 this is {{{ no metric\n\x00"))
		}, "expected"},
		"garbage protobuf": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
			_, _ = w.Write([]byte("\x05\xff\xff\xff\xff\xff\xff"))
		}, ""},
		"not gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("plain_text 1\n"))
		}, "gzip"},
		"endless body": {func(w http.ResponseWriter, r *http.Request) {
			line := []byte("some_metric{a=\"" + strings.Repeat("b", 100) + "\"} 1\n")
			for r.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "body size limit exceeded"},
		"zip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 300 {
				_, _ = z.Write(make([]byte, 1<<10))
			}
			_ = z.Close()
		}, "body size limit exceeded"},
		"server error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "HTTP status 500"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "HTTP status 302"},
		"slow header": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"slow body": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "a 1\n")
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		}, "deadline exceeded"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"many samples": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 600 {
				fmt.Fprintf(w, "m{i=\"%d\"} 1\n", i)
			}
		}, "sample limit exceeded"},
		"long label": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "m{i=%q} 1\n", long)
		}, "label_value_length_limit"},
		"many labels": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "m{")
			for i := range 100 {
				fmt.Fprintf(w, "l%d=\"x\",", i)
			}
			fmt.Fprint(w, "} 1\n")
		}, "label_limit"},
	}
	var targets []target.Target
	addrs := make(map[string]string)
	for name, b := range bad {
		addrs[name] = serve(t, b.serve)
		targets = append(targets, target.Target{Address: addrs[name]})
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	addrs["nobody"] = closed.Listener.Addr().String()
	closed.Close()
	targets = append(targets, target.Target{Address: addrs["nobody"]})
	var n atomic.Int64
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "istio_requests_total{reporter=\"source\",source_workload=\"a\",destination_workload=\"b\",response_code=\"200\"} %d\n", n.Add(1))
		// Twice, with another value: an exporter's mistake, not a reason to fail.
		fmt.Fprintf(w, "istio_requests_total{reporter=\"source\",source_workload=\"a\",destination_workload=\"b\",response_code=\"200\"} 7000\n")
	})
	targets = append(targets, target.Target{Address: good})
	s, _, in := start(t, Options{
		Sources: []target.Source{target.Static(targets)},
		Limits:  Limits{BodyBytes: 100 << 10, Samples: 500},
		// Long enough that on a busy machine only what hangs runs out of time.
		Interval: time.Second,
	})
	for name, addr := range addrs {
		got := in.until(t, addr, count(2))
		for _, b := range got {
			if b.Up || b.Error == "" || !strings.Contains(b.Error, bad[name].want) || len(b.Deltas) > 0 {
				t.Errorf("%s: batch %+v, want down with %q", name, b, bad[name].want)
			}
		}
	}
	got := in.until(t, good, count(5))
	if sum := sumOf(got)["b requests 200"]; sum != float64(len(got)-1) {
		t.Errorf("good target: %d scrapes give %v requests", len(got), sum)
	}
	for _, h := range s.Health() {
		if h.Up != (h.Address == good) || h.Up == (h.Error != "") {
			t.Errorf("health %+v", h)
		}
	}
}

// TestTargetFlaps takes a target away and brings it back: its counters count on
// from where they were, as for a sidecar whose stream to the server broke.
func TestTargetFlaps(t *testing.T) {
	var n atomic.Int64
	n.Store(1000)
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "istio_requests_total{reporter=\"source\",source_workload=\"a\",destination_workload=\"b\",response_code=\"200\"} %d\n", n.Load())
	})
	live, source := changing()
	_, _, in := start(t, Options{Sources: []target.Source{source}})
	list := []target.Target{{Address: addr}}
	live(list)
	in.until(t, addr, count(2))
	live(nil)
	// Gone when there are no more batches over several intervals.
	for last := -1; last != len(in.of(addr)); {
		last = len(in.of(addr))
		time.Sleep(350 * time.Millisecond)
	}
	before := len(in.of(addr))
	n.Add(5)
	live(list)
	got := in.until(t, addr, count(before+4))
	if sum := sumOf(got)["b requests 200"]; sum != 5 {
		t.Errorf("increases give %v, want 5", sum)
	}
}

// TestHonoredOnce gives one endpoint by two sources: scraped twice, its edges
// would count double.
func TestHonoredOnce(t *testing.T) {
	c := new(counts)
	m := newMerger(2, 3, nil, c, nil)
	m.set(0, []target.Target{{Address: "a:1"}, {Address: "b:1"}})
	m.set(1, []target.Target{{Address: "b:1", Path: "/metrics", Node: "b"}, {Address: "c:1"}, {Address: "d:1"}})
	got := m.targets()
	if len(got) != 3 || got[1].Node != "b" || c.targetsRefused.Load() != 1 {
		t.Errorf("got %+v, refused %d", got, c.targetsRefused.Load())
	}
}

func TestOptions(t *testing.T) {
	ok := func() Options { return Options{Store: newFakeStore(), Publish: func(mesh.EdgeBatch) {}} }
	s, err := New(ok())
	if err != nil {
		t.Fatal(err)
	}
	if s.opts.Timeout != 10*time.Second || s.opts.Interval != 15*time.Second {
		t.Errorf("defaults: %+v", s.opts)
	}
	fast := ok()
	fast.Interval, fast.Timeout = time.Second, time.Minute
	if s, err = New(fast); err != nil || s.opts.Timeout != time.Second {
		t.Errorf("timeout is past the interval: %v, %v", s.opts.Timeout, err)
	}
	for name, change := range map[string]func(*Options){
		"no store":       func(o *Options) { o.Store = nil },
		"no publisher":   func(o *Options) { o.Publish = nil },
		"tiny interval":  func(o *Options) { o.Interval = time.Millisecond },
		"under interval": func(o *Options) { o.Interval = -time.Second },
	} {
		o := ok()
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
