package forward_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// counted answers 200 and counts who got through.
func counted(calls *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { calls.Add(1) }
}

// withPolicy serves payments under a route that f changes.
func withPolicy(t *testing.T, h http.HandlerFunc, f func(*route.Route)) *sidecar {
	t.Helper()
	s := newSidecar(t, tickets, listen.Outbound)
	r := route.Route{Name: "r", Object: "VirtualService cinema/payments", Forward: &route.Forward{
		Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("5xx,reset", 3),
	}}
	f(&r)
	s.apply([]route.Route{r}, paymentsCluster(backend(t, h)))
	return s
}

func TestFaultAbort(t *testing.T) {
	for _, tt := range []struct {
		name        string
		fault       route.Fault
		contentType string

		status     int
		grpcStatus string
	}{
		{"http", route.Fault{AbortStatus: 418}, "", 418, ""},
		{"http to a gRPC client", route.Fault{AbortStatus: 503}, "application/grpc", 200, "14"},
		{"grpc", route.Fault{AbortGRPC: "8"}, "application/grpc", 200, "8"},
		{"grpc to an HTTP client", route.Fault{AbortGRPC: "14"}, "", 503, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls atomic.Int64
			tt.fault.AbortShare = 1_000_000
			s := withPolicy(t, counted(&calls), func(r *route.Route) { r.Fault = &tt.fault })
			a := s.get("/", "Content-Type", tt.contentType)
			x := s.seen.next(t)
			if a.StatusCode != tt.status || a.Header.Get("Grpc-Status") != tt.grpcStatus || calls.Load() != 0 {
				t.Errorf("got %d, gRPC status %q, %d calls", a.StatusCode, a.Header.Get("Grpc-Status"), calls.Load())
			}
			if tt.grpcStatus == "" && a.body != "fault filter abort" {
				t.Errorf("body %q", a.body)
			}
			if x.Flags != forward.FlagFI || x.Details != "fault_filter_abort" || x.Object != "VirtualService cinema/payments" ||
				x.AnsweredBy() != "proxy" || len(x.Attempts) != 0 || x.Service != service {
				t.Errorf("%s %s by %s, %q, %d attempts, service %v", x.Flags, x.Details, x.AnsweredBy(), x.Object, len(x.Attempts), x.Service)
			}
			if got := a.Header.Get("Proxy-Status"); !strings.Contains(got, `details="fault_filter_abort; FI"`) {
				t.Errorf("Proxy-Status %q", got)
			}
		})
	}
}

func TestFaultDelay(t *testing.T) {
	var calls atomic.Int64
	s := withPolicy(t, counted(&calls), func(r *route.Route) {
		r.Fault = &route.Fault{Delay: 100 * time.Millisecond, DelayShare: 1_000_000}
		r.Forward.Timeout = 50 * time.Millisecond // begins after the delay
	})
	a := s.get("/")
	x := s.seen.next(t)
	if a.StatusCode != 200 || calls.Load() != 1 || x.Flags != forward.FlagDI || x.Details != "via_upstream" {
		t.Errorf("got %d after %d calls, %s %s", a.StatusCode, calls.Load(), x.Flags, x.Details)
	}
	if x.Duration < 100*time.Millisecond || x.Own >= 100*time.Millisecond {
		t.Errorf("took %s, of that %s the sidecar's own", x.Duration, x.Own)
	}
}

func TestFaultDelayEndsWithTheClient(t *testing.T) {
	var calls atomic.Int64
	s := withPolicy(t, counted(&calls), func(r *route.Route) {
		r.Fault = &route.Fault{Delay: time.Hour, DelayShare: 1_000_000}
	})
	ctx, goAway := context.WithCancel(t.Context())
	go func() { // once the sidecar has the request
		for s.engine.Active() == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		goAway()
	}()
	defer goAway()
	if _, err := s.client.Do(s.request("GET", "/", nil).WithContext(ctx)); err == nil {
		t.Fatal("answered before the delay was over")
	}
	if x := s.seen.next(t); x.Flags.String() != "DI,DC" || x.Status != 0 || calls.Load() != 0 {
		t.Errorf("%s, status %d, %d calls", x.Flags, x.Status, calls.Load())
	}
}

func TestCORSInTheServicesPlace(t *testing.T) {
	var calls atomic.Int64
	s := withPolicy(t, counted(&calls), func(r *route.Route) {
		r.CORS = &route.CORS{
			Origins: []route.StringMatch{{Kind: route.Exact, Value: "https://shop.example"}},
			Methods: "GET", Expose: "x-total",
		}
		r.Fault = &route.Fault{AbortStatus: 500, AbortShare: 1_000_000} // after it
	})
	a := s.do(s.request("OPTIONS", "/", nil, "Origin", "https://shop.example", "Access-Control-Request-Method", "GET"))
	x := s.seen.next(t)
	if a.StatusCode != 200 || a.body != "" || a.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
		a.Header.Get("Access-Control-Allow-Methods") != "GET" || a.Header.Get("Proxy-Status") != "" {
		t.Errorf("preflight: %d %q %v", a.StatusCode, a.body, a.Header)
	}
	if x.Details != "cors_response" || x.Object != "VirtualService cinema/payments" || calls.Load() != 0 {
		t.Errorf("%s from %q, %d calls", x.Details, x.Object, calls.Load())
	}
	a = s.get("/", "Origin", "https://shop.example")
	if a.StatusCode != 500 || a.Header.Get("Access-Control-Expose-Headers") != "x-total" {
		t.Errorf("own answers to an allowed origin: %d %v", a.StatusCode, a.Header)
	}
}

func TestRateLimited(t *testing.T) {
	var calls atomic.Int64
	s := withPolicy(t, counted(&calls), func(r *route.Route) {
		r.RateLimit = &route.RateLimit{Max: 2, Fill: 1, Every: time.Hour, Headers: true, Exhausted: true}
	})
	for i, want := range []struct {
		status          int
		remaining, body string
	}{{200, "1", ""}, {200, "0", ""}, {429, "0", "local_rate_limited"}} {
		a := s.get("/")
		x := s.seen.next(t)
		if a.StatusCode != want.status || a.body != want.body || a.Header.Get("X-RateLimit-Remaining") != want.remaining || a.Header.Get("X-RateLimit-Limit") != "2" {
			t.Errorf("request %d: %d %q %v", i, a.StatusCode, a.body, a.Header)
		}
		if want.status == 429 && (x.Flags.String() != "RL" || x.Details != "local_rate_limited" || x.Object != "VirtualService cinema/payments") {
			t.Errorf("%s %s %q", x.Flags, x.Details, x.Object)
		}
	}
	if a := s.get("/", "Content-Type", "application/grpc"); a.StatusCode != 200 || a.Header.Get("Grpc-Status") != "8" || calls.Load() != 2 {
		t.Errorf("gRPC: %d, status %s, %d calls", a.StatusCode, a.Header.Get("Grpc-Status"), calls.Load())
	}
}
