package forward_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// failing answers code n times, then 200 with the body it got.
func failing(n int, code int, header ...string) (http.HandlerFunc, *atomic.Int64) {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		if calls.Add(1) <= int64(n) {
			w.WriteHeader(code)
			io.WriteString(w, "failed")
			return
		}
		w.Header().Del("Grpc-Status")
		fmt.Fprintf(w, "%s after %s", body, r.Header.Get("X-Envoy-Attempt-Count"))
	}, &calls
}

func quick(on string, n uint32) *route.Retry {
	return &route.Retry{On: strings.Split(on, ","), Num: n, BackoffBase: time.Millisecond}
}

func TestRetries(t *testing.T) {
	tests := []struct {
		name  string
		retry *route.Retry
		fails int
		code  int
		body  string

		wantCode  int
		wantBody  string
		wantFlags string
		wantTries int
	}{
		{"succeeds at last", quick("5xx", 3), 2, 503, "pay", 200, "pay after 3", "-", 3},
		{"used up", quick("5xx", 2), 9, 503, "pay", 503, "failed", "URX", 3},
		{"not this status", quick("gateway-error", 2), 9, 500, "pay", 500, "failed", "-", 1},
		{"no retries", quick("5xx", 0), 9, 503, "", 503, "failed", "URX", 1},
		{"no policy", nil, 9, 503, "", 503, "failed", "-", 1},
		{"conflict", quick("retriable-4xx", 1), 1, 409, "x", 200, "x after 2", "-", 2},
		{"status list", &route.Retry{On: []string{"retriable-status-codes"}, StatusCodes: []int{404}, Num: 1, BackoffBase: time.Millisecond}, 1, 404, "", 200, " after 2", "-", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, calls := failing(tt.fails, tt.code)
			s := newSidecar(t, tickets, listen.Outbound)
			s.simple(route.Forward{Retry: tt.retry}, backend(t, h))
			a := s.do(s.request("POST", "/", strings.NewReader(tt.body)))
			x := s.seen.next(t)
			if a.StatusCode != tt.wantCode || a.body != tt.wantBody {
				t.Errorf("got %d %q, want %d %q", a.StatusCode, a.body, tt.wantCode, tt.wantBody)
			}
			if x.Flags.String() != tt.wantFlags || x.Details != "via_upstream" || len(x.Attempts) != tt.wantTries || int(calls.Load()) != tt.wantTries {
				t.Errorf("flags %s, details %s, %d attempts, %d calls", x.Flags, x.Details, len(x.Attempts), calls.Load())
			}
			if tt.wantTries > 1 && x.Attempts[0].Reason != fmt.Sprintf("answered %d", tt.code) {
				t.Errorf("first attempt: %+v", x.Attempts[0])
			}
		})
	}
}

func TestRetriesStreamedBody(t *testing.T) {
	h, _ := failing(1, 503)
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Retry: quick("5xx", 1)}, backend(t, h))
	r, w := io.Pipe()
	go func() {
		for range 100 {
			io.WriteString(w, strings.Repeat("0123456789", 10))
		}
		w.Close()
	}()
	a := s.do(s.request("POST", "/", r))
	if want := strings.Repeat("0123456789", 1000) + " after 2"; a.body != want {
		t.Errorf("got %d bytes, want %d", len(a.body), len(want))
	}
}

func TestLargeBodyIsNotRetried(t *testing.T) {
	h, calls := failing(1, 503)
	s := newSidecar(t, tickets, listen.Outbound, func(o *forward.Options) { o.BodyLimit = 1000 })
	s.simple(route.Forward{Retry: quick("5xx", 3)}, backend(t, h))
	a := s.do(s.request("POST", "/", strings.NewReader(strings.Repeat("x", 100_000))))
	x := s.seen.next(t)
	if a.StatusCode != 503 || calls.Load() != 1 || x.Flags != 0 {
		t.Errorf("got %d after %d calls, flags %s", a.StatusCode, calls.Load(), x.Flags)
	}
}

func TestRetriesConnectFailureElsewhere(t *testing.T) {
	e := backend(t, answering(200))
	dead := nobody(t)
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("connect-failure", 3)
	retry.AvoidPrevious, retry.HostAttempts = true, 5
	s.simple(route.Forward{Retry: retry}, dead, e)
	for range 6 {
		a := s.get("/")
		x := s.seen.next(t)
		if a.StatusCode != 200 || len(x.Attempts) > 2 {
			t.Fatalf("got %d after %+v", a.StatusCode, x.Attempts)
		}
		if len(x.Attempts) == 2 {
			first := x.Attempts[0]
			if first.Flags != forward.FlagUF || first.Reason != "connection refused" || first.Reached || first.Endpoint != dead.Address {
				t.Errorf("first attempt %+v", first)
			}
			if x.Trace.Span == first.SpanID || first.SpanID == x.Attempts[1].SpanID {
				t.Error("the tries and the exchange share a span")
			}
		}
	}
}

func TestConnectFailureUsedUp(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Retry: quick("connect-failure", 2)}, nobody(t))
	a := s.get("/")
	x := s.seen.next(t)
	if x.Flags.String() != "UF,URX" || len(x.Attempts) != 3 || a.StatusCode != 503 {
		t.Errorf("got %d %s after %d", a.StatusCode, x.Flags, len(x.Attempts))
	}
	if !strings.Contains(a.body, "retried and the latest reset reason: remote connection failure") {
		t.Errorf("body %q", a.body)
	}
}

func TestPerTryTimeout(t *testing.T) {
	var calls atomic.Int64
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "second")
	})
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("5xx", 2)
	retry.PerTry = 40 * time.Millisecond
	s.simple(route.Forward{Retry: retry, Timeout: 5 * time.Second}, e)
	a := s.do(s.request("POST", "/", strings.NewReader("body")))
	x := s.seen.next(t)
	if a.StatusCode != 200 || a.body != "second" || len(x.Attempts) != 2 {
		t.Fatalf("got %d %q after %+v", a.StatusCode, a.body, x.Attempts)
	}
	if f := x.Attempts[0]; f.Flags != forward.FlagUT || f.Reason != "per-try timeout 40ms" || !f.Reached || f.Status != 0 {
		t.Errorf("first attempt %+v", f)
	}
}

func TestPerTryTimeoutBeginsAfterTheBody(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("5xx", 1)
	retry.PerTry = 50 * time.Millisecond
	s.simple(route.Forward{Retry: retry}, backend(t, answering(200)))
	r, w := io.Pipe()
	go func() {
		for range 4 {
			time.Sleep(25 * time.Millisecond)
			io.WriteString(w, "x")
		}
		w.Close()
	}()
	a := s.do(s.request("POST", "/", r))
	if x := s.seen.next(t); a.StatusCode != 200 || len(x.Attempts) != 1 {
		t.Errorf("got %d after %+v", a.StatusCode, x.Attempts)
	}
}

func TestPerTryTimeoutUsedUp(t *testing.T) {
	e := backend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("gateway-error", 1)
	retry.PerTry = 20 * time.Millisecond
	s.simple(route.Forward{Retry: retry}, e)
	a := s.get("/")
	x := s.seen.next(t)
	if a.StatusCode != 504 || x.Flags.String() != "UT,URX" || x.Details != "upstream_per_try_timeout" || x.Object != "VirtualService cinema/payments" {
		t.Errorf("got %d %s %s %s", a.StatusCode, x.Flags, x.Details, x.Object)
	}
}

func TestRouteTimeoutCoversRetries(t *testing.T) {
	h, calls := failing(1000, 503)
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("5xx", 1000)
	retry.BackoffBase, retry.BackoffMax = 20*time.Millisecond, 20*time.Millisecond
	s.simple(route.Forward{Retry: retry, Timeout: 100 * time.Millisecond}, backend(t, h))
	a := s.get("/")
	x := s.seen.next(t)
	if a.StatusCode != 504 || x.Flags != forward.FlagUT || x.Details != "response_timeout" || calls.Load() < 2 {
		t.Errorf("got %d %s %s after %d calls", a.StatusCode, x.Flags, x.Details, calls.Load())
	}
	if x.Duration > time.Second {
		t.Errorf("took %s", x.Duration)
	}
}

func TestRetryLimitOverflows(t *testing.T) {
	h, calls := failing(1, 503)
	s := newSidecar(t, tickets, listen.Outbound)
	c := paymentsCluster(backend(t, h))
	c.Limits.MaxRetries = 1
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx", 3)}}}, c)
	u, _ := s.engine.Upstream("payments")
	release := forward.TakeRetryForTest(u)
	s.get("/")
	if x := s.seen.next(t); x.Flags != forward.FlagUO || calls.Load() != 1 {
		t.Errorf("got %s after %d calls", x.Flags, calls.Load())
	}
	release()
	calls.Store(0)
	if a := s.get("/"); a.StatusCode != 200 {
		t.Errorf("got %d though the limit is free again", a.StatusCode)
	}
	if n := forward.RetriesForTest(u); n != 0 {
		t.Errorf("%d retries are still counted", n)
	}
}

func TestKeptAliveConnectionThatDies(t *testing.T) {
	var conns atomic.Int64
	e := rawBackend(t, func(c net.Conn) {
		conns.Add(1)
		r := bufio.NewReader(c)
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	for range 5 {
		if a := s.get("/"); a.StatusCode != 200 {
			t.Fatalf("got %d", a.StatusCode)
		}
	}
}

func TestRetryHostsSpread(t *testing.T) {
	hit := make([]atomic.Int64, 3)
	var endpoints []cluster.Endpoint
	for i := range hit {
		endpoints = append(endpoints, backend(t, func(w http.ResponseWriter, _ *http.Request) {
			hit[i].Add(1)
			w.WriteHeader(503)
		}))
	}
	s := newSidecar(t, tickets, listen.Outbound)
	retry := quick("5xx", 2)
	retry.AvoidPrevious, retry.HostAttempts = true, 5
	s.simple(route.Forward{Retry: retry}, endpoints...)
	s.get("/")
	for i := range hit {
		if n := hit[i].Load(); n != 1 {
			t.Errorf("endpoint %d was tried %d times", i, n)
		}
	}
}

// What the client asks by Envoy's headers holds, and goes no further.
func TestClientsOwnRetries(t *testing.T) {
	var saw atomic.Value
	h, calls := failing(2, 503)
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, backend(t, func(w http.ResponseWriter, r *http.Request) {
		saw.Store(r.Header.Clone())
		h(w, r)
	}))
	a := s.get("/", "X-Envoy-Retry-On", "5xx", "X-Envoy-Max-Retries", "5", "X-Envoy-Upstream-Rq-Timeout-Ms", "5000")
	s.seen.next(t)
	if a.StatusCode != 200 || calls.Load() != 3 {
		t.Errorf("got %d after %d calls", a.StatusCode, calls.Load())
	}
	header := saw.Load().(http.Header)
	if header.Get("X-Envoy-Retry-On") != "" || header.Get("X-Envoy-Upstream-Rq-Timeout-Ms") != "" || header.Get("X-Envoy-Expected-Rq-Timeout-Ms") != "5000" {
		t.Errorf("the service got %v", header)
	}
}

func TestRetryBudget(t *testing.T) {
	for _, tt := range []struct {
		budget cluster.RetryBudget
		flags  string
		tries  int
	}{
		{cluster.RetryBudget{Percent: 20, Min: 3}, "URX", 4},
		{cluster.RetryBudget{Percent: 20}, "UO", 1}, // 20 % of one request under way is none
		{cluster.RetryBudget{Percent: 100}, "URX", 4},
	} {
		h, calls := failing(100, 503)
		s := newSidecar(t, tickets, listen.Outbound)
		c := paymentsCluster(backend(t, h))
		c.Limits.Budget, c.Limits.MaxRetries = &tt.budget, 1
		s.apply([]route.Route{{Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx", 3)}}}, c)
		s.get("/")
		if x := s.seen.next(t); x.Flags.String() != tt.flags || len(x.Attempts) != tt.tries || int(calls.Load()) != tt.tries {
			t.Errorf("%+v: %s after %d tries, want %s after %d", tt.budget, x.Flags, len(x.Attempts), tt.flags, tt.tries)
		}
	}
}
