package forward_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestForwards(t *testing.T) {
	got := make(chan *http.Request, 1)
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Clone(context.Background())
		w.Header().Set("X-App", "yes")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.WriteHeader(201)
		fmt.Fprintf(w, "echo %s", body)
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	a := s.do(s.request("POST", "/a%2Fb/c?x=1;y=%20", strings.NewReader("hello"),
		"Connection", "X-Hop", "X-Hop", "1", "X-Keep", "2", "TE", "trailers"))
	if a.StatusCode != 201 || a.body != "echo hello" || a.Header.Get("X-App") != "yes" {
		t.Errorf("got %d %q %v", a.StatusCode, a.body, a.Header)
	}
	for _, name := range []string{"Keep-Alive", "X-Envoy-Peer-Metadata", "X-Envoy-Peer-Metadata-Id", "Proxy-Status"} {
		if a.Header.Get(name) != "" {
			t.Errorf("the client got %s", name)
		}
	}
	if a.Header.Get("X-Envoy-Upstream-Service-Time") == "" {
		t.Error("no x-envoy-upstream-service-time")
	}
	r := <-got
	if r.RequestURI != "/a%2Fb/c?x=1;y=%20" || r.Host != "payments" {
		t.Errorf("upstream got %s at %s", r.RequestURI, r.Host)
	}
	if r.Header.Get("X-Hop") != "" || r.Header.Get("X-Keep") != "2" || r.Header.Get("Te") != "trailers" {
		t.Errorf("headers: %v", r.Header)
	}
	if r.Header.Get("X-Request-Id") == "" || r.Header.Get("X-Forwarded-Proto") != "http" || r.Header.Get("X-Envoy-Attempt-Count") != "1" {
		t.Errorf("headers: %v", r.Header)
	}
	if r.Header.Get("X-Envoy-Peer-Metadata") == "" || r.Header.Get("X-Envoy-Peer-Metadata-Id") != "tickets-1" {
		t.Errorf("no peer metadata: %v", r.Header)
	}
	x := s.seen.next(t)
	if x.Status != 201 || x.Flags != 0 || x.Details != "via_upstream" || x.AnsweredBy() != "upstream" || x.Failed() {
		t.Errorf("exchange: %d %s %s", x.Status, x.Flags, x.Details)
	}
	if x.Service != service || x.Destination.Name != "payments" || x.Source.Name != "tickets" || x.Cluster != "payments" ||
		x.RouteName != "r" || x.RouteObject != "VirtualService cinema/payments" || x.Revision != 12 || x.Connections != 1 {
		t.Errorf("exchange: %+v", x)
	}
	if len(x.Attempts) != 1 || !x.Attempts[0].Reached || x.Attempts[0].Status != 201 || x.Attempts[0].Endpoint != e.Address {
		t.Errorf("attempts: %+v", x.Attempts)
	}
	if x.RequestBytes < 100 || x.ResponseBytes < 50 || x.Own <= 0 || x.Own > x.Duration || x.FirstByte <= 0 {
		t.Errorf("measures: %d %d %s of %s, first byte %s", x.RequestBytes, x.ResponseBytes, x.Own, x.Duration, x.FirstByte)
	}
}

func TestLocalReplies(t *testing.T) {
	refused := nobody(t)
	reset := rawBackend(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		c.(*net.TCPConn).SetLinger(0)
	})
	garbage := rawBackend(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
	})
	slow := backend(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	to := func(name string, f route.Forward) route.Route {
		f.Clusters = []route.Weighted{{Cluster: name}}
		return route.Route{Name: name, Object: "VirtualService cinema/payments", Match: route.Match{Path: route.Path{Kind: route.PathExact, Value: "/" + name}}, Forward: &f}
	}
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply([]route.Route{
		to("refused", route.Forward{}), to("reset", route.Forward{}), to("garbage", route.Forward{}),
		to("empty", route.Forward{}), to("missing", route.Forward{}), to("full", route.Forward{}),
		to("slow", route.Forward{Timeout: 30 * time.Millisecond}),
		{Name: "direct", Object: "VirtualService cinema/payments", Match: route.Match{Path: route.Path{Value: "/direct"}}, Direct: &route.Direct{Status: 418, Body: "teapot"}},
		{Name: "redirect", Match: route.Match{Path: route.Path{Value: "/redirect"}}, Redirect: &route.Redirect{Path: "/new"}},
	},
		cluster.Config{Name: "refused", Endpoints: []cluster.Endpoint{refused}, Services: []mesh.Service{service}},
		cluster.Config{Name: "reset", Endpoints: []cluster.Endpoint{reset}},
		cluster.Config{Name: "garbage", Endpoints: []cluster.Endpoint{garbage}},
		cluster.Config{Name: "slow", Endpoints: []cluster.Endpoint{slow}},
		cluster.Config{Name: "empty"},
		cluster.Config{Name: "full", Endpoints: []cluster.Endpoint{slow}, Limits: cluster.Limits{MaxRequests: 1}},
	)
	full, _ := s.engine.Upstream("full")
	forward.FillForTest(full)
	tests := []struct {
		path, host         string
		code               int
		flags, details     string
		body, error_, note string
		object             string
		reached            bool
	}{
		{
			path: "/refused", code: 503, flags: "UF", error_: "connection_refused",
			details: "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}",
			body:    "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused",
		},
		{
			path: "/reset", code: 503, flags: "UC", error_: "connection_terminated", reached: true,
			details: "upstream_reset_before_response_started{connection_termination}",
			body:    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
		},
		{
			path: "/garbage", code: 502, flags: "UPE", error_: "http_protocol_error", reached: true,
			details: "upstream_reset_before_response_started{protocol_error}",
			body:    "upstream connect error or disconnect/reset before headers. reset reason: protocol error",
		},
		{
			path: "/slow", code: 504, flags: "UT", error_: "http_response_timeout", details: "response_timeout", reached: true,
			body: "upstream request timeout", object: "VirtualService cinema/payments",
		},
		{path: "/empty", code: 503, flags: "UH", error_: "destination_unavailable", details: "no_healthy_upstream", body: "no healthy upstream"},
		{path: "/missing", code: 503, flags: "NC", error_: "destination_unavailable", details: "cluster_not_found", object: "VirtualService cinema/payments"},
		{
			path: "/full", code: 503, flags: "UO", error_: "connection_limit_reached", details: "upstream_reset_before_response_started{overflow}",
			body: "upstream connect error or disconnect/reset before headers. reset reason: overflow",
		},
		{path: "/none", code: 404, flags: "NR", error_: "destination_not_found", details: "route_not_found"},
		{path: "/", host: "elsewhere", code: 404, flags: "NR", error_: "destination_not_found", details: "route_not_found"},
		{path: "/direct", code: 418, flags: "-", details: "direct_response", body: "teapot", object: "VirtualService cinema/payments"},
		{path: "/redirect?q", code: 301, flags: "-", details: "direct_response"},
	}
	for _, tt := range tests {
		t.Run(tt.path+tt.host, func(t *testing.T) {
			host := "payments"
			if tt.host != "" {
				host = tt.host
			}
			a := s.get(tt.path, "Host", host)
			x := s.seen.next(t)
			if a.StatusCode != tt.code || a.body != tt.body {
				t.Errorf("answer %d %q, want %d %q", a.StatusCode, a.body, tt.code, tt.body)
			}
			if x.Status != tt.code || x.Flags.String() != tt.flags || x.Details != tt.details || x.Object != tt.object {
				t.Errorf("exchange %d %s %s object %q", x.Status, x.Flags, x.Details, x.Object)
			}
			if x.AnsweredBy() != mesh.AnsweredByProxy {
				t.Error("answered by the upstream")
			}
			ps := a.Header.Get("Proxy-Status")
			if tt.error_ == "" && ps != "" || tt.error_ != "" && !strings.HasPrefix(ps, `"tickets-1"; error=`+tt.error_+"; details=") {
				t.Errorf("Proxy-Status %q, want error %s", ps, tt.error_)
			}
			if got := !x.Destination.IsUnknown(); got != tt.reached {
				t.Errorf("destination %q, reached %v", x.Destination.Name, tt.reached)
			}
			switch tt.path {
			case "/full":
				if a.Header.Get("X-Envoy-Overloaded") != "true" {
					t.Error("no x-envoy-overloaded")
				}
			case "/redirect?q":
				if got := a.Header.Get("Location"); got != "http://payments/new?q" {
					t.Errorf("Location %s", got)
				}
			case "/":
				if x.Service.Host != "" {
					t.Errorf("service %q taken from the wire", x.Service.Host)
				}
			case "/none":
				if x.Service != service {
					t.Errorf("service %+v", x.Service)
				}
			}
		})
	}
}

func TestNoConfiguration(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	if err := s.sockets.Apply([]listen.Config{{Name: "l", Address: s.address, Direction: listen.Outbound, RouteName: "absent"}}); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/"); a.StatusCode != 404 {
		t.Errorf("got %d", a.StatusCode)
	}
	if x := s.seen.next(t); x.Details != "route_configuration_not_found" || x.Flags.String() != "NR" {
		t.Errorf("got %s %s", x.Flags, x.Details)
	}
}

func TestClientGoesAway(t *testing.T) {
	arrived := make(chan struct{}, 1)
	left := make(chan struct{}, 1)
	e := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Retry: &route.Retry{On: []string{"5xx", "reset"}, Num: 3}}, e)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := s.client.Do(s.request("GET", "/", nil).WithContext(ctx)); err == nil {
			res.Body.Close()
		}
	}()
	<-arrived
	cancel()
	<-done
	select {
	case <-left:
	case <-time.After(3 * time.Second):
		t.Fatal("the upstream request goes on")
	}
	x := s.seen.next(t)
	if x.Status != 0 || x.Flags != forward.FlagDC || x.Details != "downstream_remote_disconnect" || len(x.Attempts) != 1 {
		t.Errorf("got %d %s %s after %d attempts", x.Status, x.Flags, x.Details, len(x.Attempts))
	}
}

func TestClientBreaksOffItsBody(t *testing.T) {
	e := backend(t, answering(200))
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: payments\r\nContent-Length: 100\r\n\r\nhalf")
	time.Sleep(50 * time.Millisecond) // let the request reach the upstream
	c.Close()
	if x := s.seen.next(t); x.Flags != forward.FlagDC || x.Status != 0 {
		t.Errorf("got %d %s %s", x.Status, x.Flags, x.Details)
	}
}

func TestBrokenChunks(t *testing.T) {
	e := backend(t, answering(200))
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: payments\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 400 {
		t.Errorf("got %v, %v", res, err)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagDPE || x.Status != 400 {
		t.Errorf("got %d %s %s", x.Status, x.Flags, x.Details)
	}
}

func TestImpossibleStatus(t *testing.T) {
	e := rawBackend(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n")
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	if a := s.get("/"); a.StatusCode != 502 {
		t.Errorf("got %d", a.StatusCode)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagUPE {
		t.Errorf("got %s", x.Flags)
	}
}

func TestUpstreamBreaksOffItsAnswer(t *testing.T) {
	e := rawBackend(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	res, err := s.client.Do(s.request("GET", "/", nil))
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer was given as a whole one")
	}
	x := s.seen.next(t)
	if x.Status != 200 || x.Flags != forward.FlagUC || x.Details != "upstream_reset_after_response_started{connection_termination}" {
		t.Errorf("got %d %s %s", x.Status, x.Flags, x.Details)
	}
}

func TestTimeoutWhileAnswering(t *testing.T) {
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Timeout: 50 * time.Millisecond}, e)
	res, err := s.client.Do(s.request("GET", "/", nil))
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("a cut answer looks whole")
	}
	if x := s.seen.next(t); x.Status != 200 || x.Flags != forward.FlagUT || x.Details != "response_timeout" {
		t.Errorf("got %d %s %s", x.Status, x.Flags, x.Details)
	}
}

func TestTimeoutBeginsAfterTheBody(t *testing.T) {
	e := backend(t, answering(200))
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Timeout: 60 * time.Millisecond}, e)
	r, w := io.Pipe()
	go func() {
		for range 4 {
			time.Sleep(30 * time.Millisecond)
			io.WriteString(w, "x")
		}
		w.Close()
	}()
	if a := s.do(s.request("POST", "/", r)); a.StatusCode != 200 {
		t.Errorf("a slow upload got %d", a.StatusCode)
	}
	s.seen.next(t)
}

func TestHeaderOpsAndRewrites(t *testing.T) {
	got := make(chan *http.Request, 1)
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.Clone(context.Background())
		w.Header().Set("X-Secret", "1")
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply([]route.Route{{
		Match: route.Match{Path: route.Path{Value: "/old/"}},
		Forward: &route.Forward{
			Clusters: []route.Weighted{{Cluster: "payments", RequestHeaders: route.HeaderOps{
				Set: []route.HeaderSet{{Name: "x-subset", Value: "v1"}},
			}}},
			PrefixRewrite: "/new/", HostRewrite: "other.example",
		},
		RequestHeaders:  route.HeaderOps{Set: []route.HeaderSet{{Name: "x-a", Value: "2"}}, Remove: []string{"x-b"}},
		ResponseHeaders: route.HeaderOps{Remove: []string{"x-secret"}, Set: []route.HeaderSet{{Name: "x-route", Value: "r"}}},
	}}, paymentsCluster(e))
	a := s.get("/old/x%2Fy?q=1", "X-A", "1", "X-B", "1")
	r := <-got
	if r.RequestURI != "/new/x%2Fy?q=1" || r.Host != "other.example" || r.Header.Get("X-Envoy-Original-Path") != "/old/x%2Fy?q=1" {
		t.Errorf("upstream got %s at %s, original %s", r.RequestURI, r.Host, r.Header.Get("X-Envoy-Original-Path"))
	}
	if v := r.Header["X-A"]; len(v) != 2 || r.Header.Get("X-B") != "" || r.Header.Get("X-Subset") != "v1" {
		t.Errorf("headers %v", r.Header)
	}
	if a.Header.Get("X-Secret") != "" || a.Header.Get("X-Route") != "r" {
		t.Errorf("answer headers %v", a.Header)
	}
	s.seen.next(t)
}

func TestSplitFollowsWeights(t *testing.T) {
	name := func(n string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, n) }
	}
	v1, v2 := backend(t, name("v1")), backend(t, name("v2"))
	s := newSidecar(t, tickets, listen.Outbound)
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "v1", Weight: 80}, {Cluster: "v2", Weight: 20}}}}},
		cluster.Config{Name: "v1", Endpoints: []cluster.Endpoint{v1}}, cluster.Config{Name: "v2", Endpoints: []cluster.Endpoint{v2}})
	const n = 500
	counts := map[string]int{}
	for range n {
		counts[s.get("/").body]++
		s.seen.next(t)
	}
	if share := float64(counts["v2"]) / n; share < 0.13 || share > 0.27 { // 4 sigma
		t.Errorf("v2 got %.2f, want 0.2", share)
	}
}

func TestEndpointsChangeWithoutDroppingConnections(t *testing.T) {
	var remote []string
	e := backend(t, func(_ http.ResponseWriter, r *http.Request) { remote = append(remote, r.RemoteAddr) })
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	s.get("/")
	s.seen.next(t)
	s.simple(route.Forward{Timeout: time.Second}, e, nobodyUnhealthy(t))
	s.get("/")
	if x := s.seen.next(t); x.Connections != 0 || remote[0] != remote[1] {
		t.Errorf("a second connection was opened: %v, %d", remote, x.Connections)
	}
}

func nobodyUnhealthy(t *testing.T) cluster.Endpoint {
	e := nobody(t)
	e.Health = cluster.Unhealthy
	return e
}

func TestApplyRefusesDuplicates(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, backend(t, answering(200)))
	c := paymentsCluster()
	if err := s.engine.Apply(forward.Snapshot{Clusters: []cluster.Config{c, c}}); err == nil {
		t.Error("two clusters of one name were taken")
	}
	if a := s.get("/"); a.StatusCode != 200 {
		t.Errorf("the old configuration is gone: %d", a.StatusCode)
	}
}

func TestHeadAndEmptyAnswers(t *testing.T) {
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "DELETE" {
			w.WriteHeader(204)
			return
		}
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "hello")
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	if a := s.do(s.request("HEAD", "/", nil)); a.StatusCode != 200 || a.ContentLength != 5 || a.body != "" {
		t.Errorf("HEAD: %d, length %d", a.StatusCode, a.ContentLength)
	}
	if a := s.do(s.request("DELETE", "/", nil)); a.StatusCode != 204 || a.body != "" {
		t.Errorf("DELETE: %d %q", a.StatusCode, a.body)
	}
	if a := s.do(s.request("CONNECT", "", nil)); a.StatusCode != 403 || !strings.Contains(a.body, "CONNECT is not allowed") {
		t.Errorf("CONNECT: %d", a.StatusCode)
	}
}
