package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Started by a package of the cloud SDKs that Prometheus' configuration links.
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// start runs a collector and gives how to stop it, which the test's end does
// otherwise.
func start(t *testing.T, o Options) (*App, func()) {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	if o.ScrapeInterval == 0 {
		o.ScrapeInterval = 100 * time.Millisecond
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		begin := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("stopping took %s", took)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	t.Cleanup(stop)
	return a, stop
}

// sidecar exposes a request counter that grows with each scrape, beside more
// series as told.
func sidecar(t *testing.T, more int) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		v := n.Add(1)
		fmt.Fprintf(w, "# HELP istio_requests_total Requests.\n# TYPE istio_requests_total counter\n")
		fmt.Fprintf(w, "istio_requests_total{reporter=\"source\",source_workload=\"web\",destination_workload=\"catalog\",response_code=\"200\"} %d\n", v)
		for i := range more {
			fmt.Fprintf(w, "other{scrape=\"%d\",i=\"%d\"} %d\n", v, i, v*int64(i))
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// batches counts what is published, and the requests in it.
type batches struct {
	mu       sync.Mutex
	n        int
	requests float64
}

func (b *batches) Publish(batch mesh.EdgeBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	for _, d := range batch.Deltas {
		for _, n := range d.Requests {
			b.requests += n
		}
	}
}

func (b *batches) counted() (n int, requests float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n, b.requests
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestStandalone runs a collector by itself: from a target to the edges, the
// store and each of its own pages; then again on the same data.
func TestStandalone(t *testing.T) {
	dir := t.TempDir()
	addr := sidecar(t, 0)
	var got batches
	o := Options{
		DataDir: dir, HTTP: "127.0.0.1:0", Publish: &got,
		Targets: []target.Source{target.Static{{Address: addr, Node: "web-1"}}},
	}
	a, stop := start(t, o)
	until(t, "requests on the edge", func() bool { _, r := got.counted(); return r >= 3 })
	until(t, "the collector's own metrics", func() bool {
		own, err := a.Metrics().Instant(t.Context(), `sum by (instance) (prometheus_tsdb_head_series{job="sidelight"})`, time.Now())
		return err == nil && len(own) == 1 && own[0].Value > 0 && own[0].Labels["instance"] == "127.0.0.1:0"
	})
	base := "http://" + a.Addrs().HTTP
	for path, want := range map[string]string{
		"/healthz": "ok",
		"/readyz":  "ok",
		"/metrics": "prometheus_tsdb_head_series",
		"/prometheus/api/v1/query?query=count(istio_requests_total{node=%22web-1%22})": `"1"]}]`,
		"/prometheus/api/v1/metadata?metric=istio_requests_total":                      `"help":"Requests."`,
		"/prometheus/api/v1/label/node/values":                                         `["web-1"]`,
	} {
		if status, body := get(t, base+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, status, body, want)
		}
	}
	if status, _ := get(t, base+"/elsewhere"); status != 404 {
		t.Errorf("elsewhere: %d", status)
	}
	if health := a.TargetHealth(); len(health) != 1 || !health[0].Up || health[0].Node != "web-1" {
		t.Errorf("health %+v", health)
	}
	if losses := a.Losses(); len(losses) != 0 {
		t.Errorf("losses %+v", losses)
	}
	stop()
	if _, err := http.Get(base + "/healthz"); err == nil {
		t.Error("it answers after it stopped")
	}
	o.Targets = nil
	again, _ := start(t, o)
	samples, err := again.Metrics().Instant(t.Context(), `count(istio_requests_total)`, time.Now())
	if err != nil || len(samples) != 1 {
		t.Errorf("after a restart: %+v, %v", samples, err)
	}
}

func TestNewErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	a, err := New(Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for name, c := range map[string]struct {
		o    Options
		want error
	}{
		"no directory": {Options{}, mesh.ErrInvalid},
		"port taken":   {Options{DataDir: t.TempDir(), HTTP: taken.Addr().String()}, syscall.EADDRINUSE},
		"store taken":  {Options{DataDir: dir}, mesh.ErrConflict},
		"interval":     {Options{DataDir: t.TempDir(), ScrapeInterval: time.Microsecond}, mesh.ErrInvalid},
	} {
		if _, err := New(c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := a.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	// What failed has left nothing open.
	b, err := New(Options{DataDir: dir})
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestFullDisk fills the disk below the store: the edges go on, the gap is
// counted, and a disk with room again is written to.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("needs a small file system: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	var got batches
	a, stop := start(t, Options{
		DataDir: dir, Publish: &got,
		Targets: []target.Source{target.Static{{Address: sidecar(t, 3000)}}},
	})
	until(t, "a full disk", func() bool { return len(a.Losses()) > 0 })
	n, requests := got.counted()
	until(t, "more batches", func() bool { m, _ := got.counted(); return m >= n+5 })
	if _, r := got.counted(); r < requests+5 {
		t.Errorf("%v requests after %v: the edges stand still", r, requests)
	}
	if l := a.Losses()[0]; l.Where != "collector/scrape" || l.Count == 0 || !strings.Contains(l.Hint, "disk full") {
		t.Errorf("loss %+v", l)
	}
	if _, err := a.Metrics().Instant(t.Context(), `up`, time.Now()); err != nil {
		t.Errorf("query on a full disk: %v", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=256m"); err != nil {
		t.Fatal(err)
	}
	until(t, "the store to write", func() bool {
		before := a.Losses()[0].Count
		n, _ := got.counted()
		until(t, "batches", func() bool { m, _ := got.counted(); return m >= n+3 })
		return a.Losses()[0].Count == before
	})
	stop()
}

// edges is a server that counts what it is sent.
type edges struct {
	meshv1.UnimplementedEdgesServer
	got atomic.Int64
}

func (e *edges) Publish(stream grpc.BidiStreamingServer[meshv1.EdgeBatches, meshv1.PublishResponse]) error {
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		e.got.Add(int64(len(m.GetBatches())))
		if err := stream.Send(&meshv1.PublishResponse{}); err != nil {
			return err
		}
	}
}

// TestRemote runs a collector that publishes to a server of its own, which
// gets all that was scraped, the last batches too.
func TestRemote(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var e edges
	g := grpc.NewServer()
	meshv1.RegisterEdgesServer(g, &e)
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	defer func() { g.Stop(); <-served }()
	r, err := publish.NewRemote(publish.RemoteOptions{Server: l.Addr().String(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, stop := start(t, Options{Publish: r, Targets: []target.Source{target.Static{{Address: sidecar(t, 0)}}}})
	until(t, "batches", func() bool { return e.got.Load() >= 3 })
	stop()
	if stats := r.Stats(); int64(stats.Sent) != e.got.Load() || stats.Waiting != 0 || stats.Dropped != 0 {
		t.Errorf("server has %d batches, %+v", e.got.Load(), stats)
	}
}

// TestProblems shows what a source says of itself.
func TestProblems(t *testing.T) {
	h, err := target.NewHTTP(target.HTTPOptions{URL: "http://127.0.0.1:1/targets"})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := start(t, Options{Targets: []target.Source{h}})
	until(t, "a problem", func() bool { return len(a.Problems()) == 1 })
	if p := a.Problems()[0]; p.Source != "http://127.0.0.1:1/targets" || p.Message == "" {
		t.Errorf("problem %+v", p)
	}
}

// The stores are for the mesh's server: who else comes is counted.
func TestStoresOverTLS(t *testing.T) {
	here := identitytest.New(t, "cluster.local")
	own := here.Source(mesh.SystemNamespace, mesh.CollectorAccount)
	a, _ := start(t, Options{HTTP: "127.0.0.1:0", HTTPTLS: &identity.Listener{Identity: own, Mutual: true, Only: mesh.ServerAccount}})
	ask := func(by *identity.Source) error {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: by.IdentityOrNameTLS(mesh.CollectorAccount), ForceAttemptHTTP2: true}}
		defer client.CloseIdleConnections()
		resp, err := client.Get("https://" + a.Addrs().HTTP + "/targets")
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s, %w", resp.Status, err)
		}
		return nil
	}
	server := here.Source(mesh.SystemNamespace, mesh.ServerAccount)
	if err := ask(server); err != nil {
		t.Errorf("the server: %v", err)
	}
	for name, other := range map[string]*identity.Source{"a workload": here.Source("cinema", "web"), "nobody": {}} {
		if err := ask(other); err == nil {
			t.Errorf("%s is let in", name)
		}
	}
	if lost := a.Losses(); len(lost) != 1 || lost[0].What != "clients of the stores' API refused" || lost[0].Count == 0 {
		t.Errorf("losses %+v", lost)
	}
	own.Set(here.Issue("cinema", "web", time.Hour)) // somebody else is at the address
	if err := ask(server); err == nil || !strings.Contains(err.Error(), "is not the mesh's collector") {
		t.Errorf("the server asks an impostor: %v", err)
	}
	own.Set(here.Issue(mesh.SystemNamespace, mesh.CollectorAccount, time.Hour))
	if err := ask(server); err != nil {
		t.Errorf("the server, after the next certificate: %v", err)
	}
}
