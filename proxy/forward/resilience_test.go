package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// Each endpoint is out at its second error in a row, the sidecar then answers
// by itself, and after the ejection's time the endpoints are asked again.
func TestEjectedEndpoints(t *testing.T) {
	var calls atomic.Int64
	var healthy atomic.Bool
	h := func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		if !healthy.Load() {
			w.WriteHeader(503)
		}
	}
	c := paymentsCluster(backend(t, h), backend(t, h), nobody(t))
	c.Object = "DestinationRule cinema/payments"
	c.Outlier = &cluster.Outlier{Consecutive5xx: 2, Interval: 50 * time.Millisecond, BaseEjection: 150 * time.Millisecond, MaxEjectionPercent: 100}
	told := make(chan forward.Ejection, 10)
	s := newSidecar(t, tickets, listen.Outbound, func(o *forward.Options) { o.Ejections = func(e forward.Ejection) { told <- e } })
	s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx,reset", 30),
	}}}, c)

	a := s.get("/")
	x := s.seen.next(t)
	if a.StatusCode != 503 || a.body != "no healthy upstream" || x.Flags.String() != "UH" || x.Object != "DestinationRule cinema/payments" {
		t.Errorf("got %d %q, %s, %q", a.StatusCode, a.body, x.Flags, x.Object)
	}
	if len(x.Attempts) != 6 || calls.Load() != 4 {
		t.Errorf("%d attempts, %d calls, want two at each of three endpoints", len(x.Attempts), calls.Load())
	}
	if l := s.levels(); l.Ejected != 3 || l.Ejections != 3 {
		t.Errorf("levels %+v", l)
	}
	if s.get("/").StatusCode != 503 || calls.Load() != 4 {
		t.Error("a request reached an endpoint that was out")
	}
	s.seen.next(t)
	for out := 1; out <= 3; out++ {
		if e := <-told; e.Returned || e.Status != 503 || e.Out != out || e.Of != 3 || e.Cluster.Object != "DestinationRule cinema/payments" {
			t.Errorf("told %+v, want ejection %d of 3", e, out)
		}
	}
	healthy.Store(true)
	s.until("endpoints return", func() bool { return s.levels().Ejected == 0 })
	if code := s.get("/").StatusCode; code != 200 {
		t.Errorf("got %d after the ejection", code)
	}
	for n := range 3 { // in one sweep or several
		if e := <-told; !e.Returned || e.Out > 2-n {
			t.Errorf("told %+v, want return %d of 3", e, n+1)
		}
	}
}

// A change that keeps the rules keeps who is out; one that removes them lets
// everybody in.
// Endpoints of the next priority are asked when outlier detection has taken those
// before them out, and no more when these are back.
func TestFailoverToTheNextPriority(t *testing.T) {
	var well atomic.Bool
	near := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			w.WriteHeader(503)
		}
		io.WriteString(w, "near")
	})
	far := backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "far") })
	far.Priority = 1
	c := paymentsCluster(near, far)
	c.Outlier = &cluster.Outlier{Consecutive5xx: 2, Interval: 20 * time.Millisecond, BaseEjection: time.Second, MaxEjectionPercent: 100}
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}, c)
	for i, want := range []int{503, 503, 200, 200} {
		if a := s.get("/"); a.StatusCode != want || (a.body == "far") != (want == 200) {
			t.Fatalf("request %d: %d by %s", i, a.StatusCode, a.body)
		}
	}
	well.Store(true)
	s.until("the endpoint returns", func() bool { return s.levels().Ejected == 0 && s.get("/").body == "near" })
	for range 20 {
		if a := s.get("/"); a.body != "near" {
			t.Fatalf("answered by %s, though what is near is well", a.body)
		}
	}
}

func TestEjectionAndNewConfiguration(t *testing.T) {
	bad, good := backend(t, answering(500)), backend(t, answering(200))
	c := paymentsCluster(bad, good)
	c.Outlier = &cluster.Outlier{Consecutive5xx: 1, MaxEjectionPercent: 50}
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply(toPayments(), c)
	s.get("/")
	s.get("/")
	same := c
	rules := *c.Outlier
	same.Outlier = &rules
	s.apply(toPayments(), same)
	if l := s.levels(); l.Ejected != 1 {
		t.Errorf("after the same again: %+v", l)
	}
	without := c
	without.Outlier = nil
	s.apply(toPayments(), without)
	if l := s.levels(); l.Ejected != 0 {
		t.Errorf("after the rules went: %+v", l)
	}
}

// A gRPC status in the trailers counts as the HTTP status that it stands for.
func TestEjectionByGRPCStatus(t *testing.T) {
	for status, want := range map[string]int{"14": 1, "5": 0} {
		c := paymentsCluster(backend(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			io.WriteString(w, "body")
			w.Header().Set("Grpc-Status", status)
		}))
		c.Outlier = &cluster.Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100}
		s := newSidecar(t, tickets, listen.Outbound)
		s.apply([]route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}, c)
		s.get("/", "Content-Type", "application/grpc")
		if l := s.levels(); l.Ejected != want {
			t.Errorf("gRPC status %s: %d ejected, want %d", status, l.Ejected, want)
		}
	}
}

func TestHashedEndpoints(t *testing.T) {
	var endpoints []cluster.Endpoint
	for i := range 4 {
		endpoints = append(endpoints, backend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, i) }))
	}
	c := paymentsCluster(endpoints...)
	c.Policy = cluster.RingHash
	s := newSidecar(t, tickets, listen.Outbound)
	f := func(p route.HashPolicy) {
		s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
			Clusters: []route.Weighted{{Cluster: "payments"}}, Hash: []route.HashPolicy{p},
		}}}, c)
	}
	bodies := func(n int, kv ...string) map[string]bool {
		set := map[string]bool{}
		for range n {
			set[s.get("/", kv...).body] = true
		}
		return set
	}
	f(route.HashPolicy{Header: "User"})
	if got := bodies(20, "User", "tomas"); len(got) != 1 {
		t.Errorf("one user went to %v", got)
	}
	if got := bodies(60); len(got) != 4 {
		t.Errorf("without the header: %v", got)
	}
	f(route.HashPolicy{SourceIP: true})
	if got := bodies(20); len(got) != 1 {
		t.Errorf("one address went to %v", got)
	}
	f(route.HashPolicy{Cookie: &route.Cookie{Name: "seat", Generate: true, TTL: time.Minute}})
	first := s.get("/")
	set := first.Header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "seat=") || !strings.Contains(set, "Max-Age=60") {
		t.Fatalf("Set-Cookie %q", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	for range 20 {
		a := s.get("/", "Cookie", cookie)
		if a.body != first.body || a.Header.Get("Set-Cookie") != "" {
			t.Fatalf("with the cookie: %s after %s, another cookie %q", a.body, first.body, a.Header.Get("Set-Cookie"))
		}
	}
}

func TestMirrors(t *testing.T) {
	type copied struct{ host, path, body, trace, attempt, peer string }
	got := make(chan copied, 10)
	sniffer := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- copied{r.Host, r.URL.RequestURI(), string(body), r.Header.Get("Traceparent"), r.Header.Get("X-Envoy-Attempt-Count"), r.Header.Get("X-Envoy-Peer-Metadata-Id")}
		w.WriteHeader(500)
	})
	sniffer.Workload = mesh.Workload{Namespace: "cinema", Name: "sniffer"}
	copies := cluster.Config{Name: "sniffer", Endpoints: []cluster.Endpoint{sniffer}}
	s := newSidecar(t, tickets, listen.Outbound)
	h, calls := failing(1, 503)
	s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx", 2), PrefixRewrite: "/v2",
		Mirrors: []route.Mirror{{Cluster: "sniffer", Share: 1_000_000}, {Cluster: "nowhere", Share: 1_000_000}, {Cluster: "sniffer"}},
	}}}, paymentsCluster(backend(t, h)), copies)

	a := s.do(s.request("POST", "/pay?seat=7", strings.NewReader("money"), "Host", "payments.cinema.svc.cluster.local"))
	if a.StatusCode != 200 || a.body != "money after 2" || calls.Load() != 2 {
		t.Errorf("the client got %d %q after %d calls", a.StatusCode, a.body, calls.Load())
	}
	c := <-got
	if c.host != "payments.cinema.svc.cluster.local-shadow" || c.path != "/v2/pay?seat=7" || c.body != "money" || c.attempt != "1" || c.peer != "tickets-1" {
		t.Errorf("the copy: %+v", c)
	}
	if !strings.HasSuffix(c.trace, "-00") {
		t.Errorf("the copy is sampled: %s", c.trace)
	}
	seen := map[bool]int{}
	for range 2 {
		x := s.seen.next(t)
		seen[x.Mirror]++
		if !x.Mirror {
			continue
		}
		if x.Destination.Name != "sniffer" || x.Service != service || x.Status != 500 || x.Cluster != "sniffer" ||
			x.Authority != "payments.cinema.svc.cluster.local-shadow" || len(x.Attempts) != 1 || x.Trace.Sampled {
			t.Errorf("exchange of the copy: %+v", x)
		}
	}
	if seen[true] != 1 || seen[false] != 1 || len(got) != 0 {
		t.Errorf("exchanges, copies and others: %v; %d more copies", seen, len(got))
	}
}

// A mirror that is slow, or gone, changes nothing for the client.
func TestMirrorsDoNotHinder(t *testing.T) {
	slow := newHeld(t)
	s := newSidecar(t, tickets, listen.Outbound)
	for name, endpoint := range map[string]cluster.Endpoint{"slow": slow.endpoint, "dead": nobody(t)} {
		s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
			Clusters: []route.Weighted{{Cluster: "payments"}},
			Mirrors:  []route.Mirror{{Cluster: "copies", Share: 1_000_000}},
		}}}, paymentsCluster(backend(t, answering(200))), cluster.Config{Name: "copies", Endpoints: []cluster.Endpoint{endpoint}})
		begin := time.Now()
		for range 5 {
			if a := s.get("/"); a.StatusCode != 200 {
				t.Errorf("%s: got %d", name, a.StatusCode)
			}
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("%s: five requests took %s", name, took)
		}
	}
	close(slow.let)
}

// A body that is too large to keep is not mirrored, and that is counted.
func TestMirrorsOfLargeBodies(t *testing.T) {
	got := make(chan int, 1)
	sniffer := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- len(body)
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Mirrors: []route.Mirror{{Cluster: "copies", Share: 1_000_000}},
	}}}, paymentsCluster(backend(t, answering(200))), cluster.Config{Name: "copies", Endpoints: []cluster.Endpoint{sniffer}})
	s.do(s.request("POST", "/", strings.NewReader(strings.Repeat("x", 64<<10))))
	if n := <-got; n != 64<<10 {
		t.Errorf("%d bytes were mirrored", n)
	}
	s.do(s.request("POST", "/", strings.NewReader(strings.Repeat("x", 64<<10+1))))
	if n := s.engine.MirrorsDropped(); n != 1 {
		t.Errorf("%d copies dropped, want 1", n)
	}
}
