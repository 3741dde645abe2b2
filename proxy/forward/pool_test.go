package forward_test

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// held is a backend whose answers wait to be let go. It knows its clients'
// addresses.
type held struct {
	endpoint cluster.Endpoint
	arrived  chan struct{}
	let      chan struct{}
	most     atomic.Int64
	now      atomic.Int64
	mu       sync.Mutex
	clients  map[string]int
}

func newHeld(t *testing.T) *held {
	h := &held{arrived: make(chan struct{}, 100), let: make(chan struct{}), clients: map[string]int{}}
	h.endpoint = backend(t, func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.clients[r.RemoteAddr]++
		h.most.Store(max(h.most.Load(), h.now.Add(1)))
		h.mu.Unlock()
		defer h.now.Add(-1)
		h.arrived <- struct{}{}
		<-h.let
	})
	return h
}

func limitedCluster(l cluster.Limits, endpoints ...cluster.Endpoint) cluster.Config {
	c := paymentsCluster(endpoints...)
	c.Limits, c.Object = l, "DestinationRule cinema/payments"
	return c
}

func toPayments() []route.Route {
	return []route.Route{{Name: "r", Object: "VirtualService cinema/payments", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx,reset", 3),
	}}}
}

func (s *sidecar) levels() forward.Levels {
	s.t.Helper()
	u, ok := s.engine.Upstream("payments")
	if !ok {
		s.t.Fatal("no cluster")
	}
	return u.Levels()
}

func (s *sidecar) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never: %s (%+v)", what, s.levels())
		}
	}
}

// One connection, one place in the queue: the third request is turned away at
// once, and not tried again.
func TestPendingQueue(t *testing.T) {
	h := newHeld(t)
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply(toPayments(), limitedCluster(cluster.Limits{MaxConnections: 1, MaxPending: 1}, h.endpoint))
	answers := make(chan int, 2)
	get := func() {
		res, err := s.client.Do(s.request("GET", "/", nil))
		if err != nil {
			t.Error(err)
			answers <- 0
			return
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		answers <- res.StatusCode
	}
	go get()
	<-h.arrived
	go get()
	s.until("one request waits", func() bool { return s.levels().Pending == 1 })

	a := s.get("/")
	x := s.seen.next(t)
	if a.StatusCode != 503 || a.Header.Get("X-Envoy-Overloaded") != "true" ||
		x.Flags.String() != "UO" || x.Details != "upstream_reset_before_response_started{overflow}" ||
		x.Object != "DestinationRule cinema/payments" || len(x.Attempts) != 0 {
		t.Errorf("the third got %d, overloaded %q, %s %s %s, %d attempts", a.StatusCode, a.Header.Get("X-Envoy-Overloaded"),
			x.Flags, x.Details, x.Object, len(x.Attempts))
	}
	for i := range 2 {
		h.let <- struct{}{}
		if code := <-answers; code != 200 {
			t.Errorf("a request that waited got %d", code)
		}
		// The first opened the connection, the second waited for it to be free.
		try := s.seen.next(t).Attempts[0]
		if i == 0 && (try.Connect <= 0 || try.Connect+try.Queue > try.Duration) || i == 1 && (try.Connect != 0 || try.Queue <= 0 || try.Queue > try.Duration) {
			t.Errorf("request %d of %s: queued %s, connected in %s", i+1, try.Duration, try.Queue, try.Connect)
		}
	}
	if h.most.Load() != 1 {
		t.Errorf("%d requests at a time at the backend, want 1", h.most.Load())
	}
	if l := s.levels(); l.Pending != 0 || l.Requests != 0 || l.Connections != 1 {
		t.Errorf("levels afterwards: %+v", l)
	}
	if len(h.clients) != 1 {
		t.Errorf("%d connections, want one that was used twice", len(h.clients))
	}
}

// A client that gives up leaves the queue.
func TestPendingClientGoesAway(t *testing.T) {
	h := newHeld(t)
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply([]route.Route{{Name: "r", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Timeout: 100 * time.Millisecond,
	}}},
		limitedCluster(cluster.Limits{MaxConnections: 1, MaxPending: 5}, h.endpoint))
	codes := make(chan int, 2)
	for range 2 {
		go func() { codes <- s.get("/").StatusCode }()
	}
	<-h.arrived
	for range 2 {
		if code := <-codes; code != 504 {
			t.Errorf("got %d, want 504 for both", code)
		}
	}
	close(h.let)
	// A connection may be left: the one that was let go made room for the next.
	s.until("nothing waits", func() bool { l := s.levels(); return l.Pending == 0 && l.Requests == 0 })
}

// An endpoint without a connection may open one whatever the limit says.
func TestConnectionLimitIsSoft(t *testing.T) {
	a, b := newHeld(t), newHeld(t)
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply(toPayments(), limitedCluster(cluster.Limits{MaxConnections: 1}, a.endpoint, b.endpoint))
	codes := make(chan int, 2)
	for range 2 {
		go func() { codes <- s.get("/").StatusCode }()
	}
	<-a.arrived
	<-b.arrived
	close(a.let)
	close(b.let)
	for range 2 {
		if code := <-codes; code != 200 {
			t.Errorf("got %d", code)
		}
	}
}

func TestRequestLimit(t *testing.T) {
	h := newHeld(t)
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply(toPayments(), limitedCluster(cluster.Limits{MaxRequests: 1}, h.endpoint))
	done := make(chan int, 1)
	go func() { done <- s.get("/").StatusCode }()
	<-h.arrived
	if a := s.get("/"); a.StatusCode != 503 {
		t.Errorf("got %d above the limit", a.StatusCode)
	}
	if x := s.seen.next(t); x.Flags.String() != "UO" {
		t.Errorf("flags %s", x.Flags)
	}
	close(h.let)
	if code := <-done; code != 200 {
		t.Errorf("got %d below it", code)
	}
}

// Each connection serves its number of requests and no more.
func TestMaxRequestsPerConnection(t *testing.T) {
	for _, most := range []uint32{1, 3} {
		h := newHeld(t)
		close(h.let)
		s := newSidecar(t, tickets, listen.Outbound)
		s.apply(toPayments(), limitedCluster(cluster.Limits{MaxConnections: 1, MaxRequestsPerConnection: most}, h.endpoint))
		for range 9 {
			if a := s.get("/"); a.StatusCode != 200 {
				t.Fatalf("got %d", a.StatusCode)
			}
		}
		h.mu.Lock()
		if len(h.clients) != 9/int(most) {
			t.Errorf("%d connections for 9 requests, %d on each", len(h.clients), most)
		}
		for _, n := range h.clients {
			if n > int(most) {
				t.Errorf("a connection served %d requests, more than %d", n, most)
			}
		}
		h.mu.Unlock()
		s.until("no connection is left", func() bool { return s.levels().Connections == 0 })
	}
}

// Many clients under small limits: each is answered or turned away, and nothing
// is left over.
func TestPoolUnderLoad(t *testing.T) {
	var calls atomic.Int64
	slow := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		calls.Add(1)
		time.Sleep(time.Millisecond)
		if calls.Load()%7 == 0 {
			panic(http.ErrAbortHandler)
		}
	}
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply(toPayments(), limitedCluster(cluster.Limits{MaxConnections: 4, MaxPending: 8, MaxRequestsPerConnection: 5}, backend(t, slow), backend(t, slow)))
	var wg sync.WaitGroup
	var other atomic.Int64
	for range 24 {
		wg.Go(func() {
			for range 20 {
				res, err := s.client.Do(s.request("GET", "/", nil))
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != 200 && res.StatusCode != 503 {
					other.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := other.Load(); n > 0 {
		t.Errorf("%d answers were neither 200 nor 503", n)
	}
	s.until("all levels are down", func() bool {
		l := s.levels()
		return l.Pending == 0 && l.Requests == 0 && l.Retries == 0 && l.Connections <= 4
	})
}
