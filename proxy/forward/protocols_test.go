package forward_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// grpcSidecar puts a sidecar before a real gRPC health server.
func grpcSidecar(t *testing.T, f route.Forward, opts ...grpc.ServerOption) (*sidecar, healthpb.HealthClient, *health.Server) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	h := health.NewServer()
	healthpb.RegisterHealthServer(server, h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(ln)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	s := newSidecar(t, tickets, listen.Outbound)
	c := paymentsCluster(cluster.Endpoint{Address: ln.Addr().String(), Workload: payments})
	c.HTTP2 = true
	f.Clusters = []route.Weighted{{Cluster: "payments"}}
	s.apply([]route.Route{{Name: "grpc", Forward: &f}}, c)
	return s, grpcClient(t, s), h
}

func grpcClient(t *testing.T, s *sidecar) healthpb.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("payments"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return healthpb.NewHealthClient(conn)
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestGRPCUnary(t *testing.T) {
	s, client, _ := grpcSidecar(t, route.Forward{})
	var header, trailer metadata.MD
	res, err := client.Check(within(t), &healthpb.HealthCheckRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", res, err)
	}
	if header.Get("x-envoy-upstream-service-time") == nil {
		t.Errorf("headers %v", header)
	}
	x := s.seen.next(t)
	if x.Protocol != mesh.GRPC || x.GRPCStatus != "0" || x.Status != 200 || x.Details != "via_upstream" || x.Failed() || x.Attempts[0].GRPC != "0" {
		t.Errorf("exchange %+v", x)
	}
	// An error without a body: head and end in one frame.
	_, err = client.Check(within(t), &healthpb.HealthCheckRequest{Service: "nobody"})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "unknown service") {
		t.Errorf("got %v", err)
	}
	if x := s.seen.next(t); x.GRPCStatus != "5" || !x.Failed() || x.AnsweredBy() != "upstream" {
		t.Errorf("exchange %+v", x)
	}
}

func TestGRPCStream(t *testing.T) {
	s, client, h := grpcSidecar(t, route.Forward{})
	ctx, cancel := context.WithCancel(within(t))
	stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		m, err := stream.Recv() // each message must come while the stream is open
		if err != nil || m.GetStatus() != want {
			t.Fatalf("got %v, %v, want %s", m, err, want)
		}
		h.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	if x := s.seen.next(t); !x.Flags.Has(forward.FlagDC) || x.Status != 200 {
		t.Errorf("flags %s, status %d", x.Flags, x.Status)
	}
}

func TestGRPCLocalReply(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, nobody(t))
	_, err := grpcClient(t, s).Check(within(t), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "remote connection failure") {
		t.Errorf("got %v", err)
	}
	if x := s.seen.next(t); x.Status != 200 || x.GRPCStatus != "14" || x.Flags != forward.FlagUF {
		t.Errorf("got %d grpc %s %s", x.Status, x.GRPCStatus, x.Flags)
	}
	s.apply(nil)
	_, err = grpcClient(t, s).Check(within(t), &healthpb.HealthCheckRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
	s.seen.next(t)
}

func TestGRPCRetry(t *testing.T) {
	calls := 0
	flaky := grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if calls++; calls == 1 {
			return nil, status.Error(codes.Unavailable, "not yet")
		}
		return next(ctx, req)
	})
	s, client, _ := grpcSidecar(t, route.Forward{Retry: quick("unavailable", 2)}, flaky)
	res, err := client.Check(within(t), &healthpb.HealthCheckRequest{})
	if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", res, err)
	}
	if x := s.seen.next(t); len(x.Attempts) != 2 || x.Attempts[0].Reason != "gRPC status 14" || x.GRPCStatus != "0" {
		t.Errorf("attempts %+v", x.Attempts)
	}
}

func TestGRPCTimeout(t *testing.T) {
	slow := grpc.UnaryInterceptor(func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s, client, _ := grpcSidecar(t, route.Forward{Timeout: 50 * time.Millisecond}, slow)
	if _, err := client.Check(within(t), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v", err)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagUT || x.Details != "response_timeout" {
		t.Errorf("got %s %s", x.Flags, x.Details)
	}
}

// h2cClient speaks HTTP/2 with prior knowledge.
func h2cClient(t *testing.T) *http.Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestHTTP2BothSides(t *testing.T) {
	for _, up := range []bool{false, true} {
		e := backend(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "X-Sum")
			w.Header().Set("X-Proto", r.Proto)
			w.Write(body)
			w.Header().Set("X-Sum", r.Trailer.Get("X-In"))
			w.Header().Set(http.TrailerPrefix+"X-Late", "1")
		})
		s := newSidecar(t, tickets, listen.Outbound)
		c := paymentsCluster(e)
		c.HTTP2 = up
		s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}, c)
		s.client = h2cClient(t)
		req := s.request("POST", "/", strings.NewReader(strings.Repeat("x", 200_000)))
		req.ContentLength = -1
		req.Trailer = http.Header{"X-In": {"in"}}
		a := s.do(req)
		want := "HTTP/1.1"
		if up {
			want = "HTTP/2.0"
		}
		if a.Proto != "HTTP/2.0" || a.Header.Get("X-Proto") != want || len(a.body) != 200_000 {
			t.Errorf("upstream HTTP/2 %v: client %s, upstream %s, %d bytes", up, a.Proto, a.Header.Get("X-Proto"), len(a.body))
		}
		if a.Trailer.Get("X-Sum") != "in" || a.Trailer.Get("X-Late") != "1" {
			t.Errorf("upstream HTTP/2 %v: trailers %v", up, a.Trailer)
		}
		s.seen.next(t)
	}
}

func TestHTTP2Reset(t *testing.T) {
	e := backend(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s := newSidecar(t, tickets, listen.Outbound)
	c := paymentsCluster(e)
	c.HTTP2 = true
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}}}}, c)
	if a := s.get("/"); a.StatusCode != 503 || !strings.Contains(a.body, "remote reset") {
		t.Errorf("got %d %q", a.StatusCode, a.body)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagUR {
		t.Errorf("flags %s, details %s", x.Flags, x.Details)
	}
}

// A server that leaves says by GOAWAY which requests it took; one that it did
// not take is as safe to send again as one that it refused.
func TestHTTP2GoAway(t *testing.T) {
	var conns atomic.Int64
	e := rawBackend(t, func(c net.Conn) {
		leaves := conns.Add(1) == 1
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		if f.WriteSettings() != nil {
			return
		}
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			h, ok := frame.(*http2.HeadersFrame)
			switch {
			case !ok:
			case leaves:
				err = f.WriteGoAway(0, http2.ErrCodeNo, nil)
			default:
				status := []byte{0x88} // HPACK's entry 8, :status 200
				err = f.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: status, EndHeaders: true, EndStream: true})
			}
			if err != nil {
				return
			}
		}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	c := paymentsCluster(e)
	c.HTTP2 = true
	f := &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("refused-stream", 1)}
	s.apply([]route.Route{{Forward: f}}, c)
	if a := s.do(s.request("POST", "/", strings.NewReader("pay"))); a.StatusCode != 200 {
		t.Errorf("got %d %q", a.StatusCode, a.body)
	}
	if x := s.seen.next(t); len(x.Attempts) != 2 {
		t.Errorf("attempts: %+v", x.Attempts)
	}
}

func TestWebSocket(t *testing.T) {
	upgrader := websocket.Upgrader{}
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Refuse") != "" {
			w.WriteHeader(403)
			return
		}
		c, err := upgrader.Upgrade(w, r, http.Header{"X-Envoy-Peer-Metadata": {"secret"}})
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, m, err := c.ReadMessage()
			if err != nil {
				return
			}
			c.WriteMessage(kind, append([]byte("echo "), m...))
		}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{Timeout: 50 * time.Millisecond, Retry: quick("5xx", 1)}, e)
	c, res, err := websocket.DefaultDialer.Dial("ws://"+s.address+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Envoy-Peer-Metadata") != "" {
		t.Error("peer metadata in the handshake")
	}
	time.Sleep(80 * time.Millisecond) // an upgraded connection outlives the route's timeout
	for _, m := range []string{"one", strings.Repeat("x", 50_000)} {
		if err := c.WriteMessage(websocket.TextMessage, []byte(m)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.ReadMessage(); err != nil || string(got) != "echo "+m {
			t.Fatalf("got %.20q, %v", got, err)
		}
	}
	c.Close()
	x := s.seen.next(t)
	if x.Status != 101 || x.RequestBytes < 50_000 || x.ResponseBytes < 50_000 || x.Flags != 0 {
		t.Errorf("exchange %d %s, %d and %d bytes", x.Status, x.Flags, x.RequestBytes, x.ResponseBytes)
	}
	if _, res, err := websocket.DefaultDialer.Dial("ws://"+s.address, http.Header{"X-Refuse": {"1"}}); err == nil || res.StatusCode != 403 {
		t.Errorf("a refused upgrade: %v %v", res, err)
	}
}

func TestServerSentEvents(t *testing.T) {
	next := make(chan string)
	e := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for m := range next {
			io.WriteString(w, m)
			w.(http.Flusher).Flush()
		}
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	res, err := s.client.Do(s.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 10)
	for _, m := range []string{"one", "two"} {
		next <- m
		if n, err := res.Body.Read(buf); err != nil || string(buf[:n]) != m {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
	}
	close(next)
}

func TestContinue(t *testing.T) {
	e := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 10 {
			w.WriteHeader(413)
			return
		}
		io.Copy(w, r.Body)
	})
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, e)
	s.client.Transport.(*http.Transport).ExpectContinueTimeout = 2 * time.Second
	if a := s.do(s.request("PUT", "/", strings.NewReader("short"), "Expect", "100-continue")); a.body != "short" {
		t.Errorf("got %d %q", a.StatusCode, a.body)
	}
	a := s.do(s.request("PUT", "/", strings.NewReader(strings.Repeat("x", 5_000_000)), "Expect", "100-continue"))
	if a.StatusCode != 413 {
		t.Errorf("got %d", a.StatusCode)
	}
}

func TestTwoSidecarsInARow(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Envoy-Peer") {
				t.Errorf("the app got %s", name)
			}
		}
		io.WriteString(w, r.Header.Get("Traceparent"))
	}))
	defer app.Close()
	server := newSidecar(t, payments, listen.Inbound)
	server.simple(route.Forward{}, cluster.Endpoint{Address: app.Listener.Addr().String()})
	client := newSidecar(t, tickets, listen.Outbound)
	client.simple(route.Forward{}, cluster.Endpoint{Address: server.address})
	a := client.get("/")
	if a.Header.Get("X-Envoy-Peer-Metadata") != "" {
		t.Error("the client app got peer metadata")
	}
	in, out := server.seen.next(t), client.seen.next(t)
	if in.Source.Workload != tickets || in.Destination.Workload != payments || out.Source.Workload != tickets || out.Destination.Workload != payments {
		t.Errorf("server saw %s to %s, client %s to %s", in.Source.Name, in.Destination.Name, out.Source.Name, out.Destination.Name)
	}
	if in.Trace.ID != out.Trace.ID || in.Trace.Parent != out.Trace.Span || !strings.Contains(a.body, in.Trace.Span.String()) {
		t.Errorf("broken trace: %+v then %+v, app got %s", out.Trace, in.Trace, a.body)
	}
	if in.RequestID != out.RequestID {
		t.Error("two request IDs")
	}
}

func TestGarbageIsRefusedAndCounted(t *testing.T) {
	s := newSidecar(t, payments, listen.Inbound)
	s.simple(route.Forward{}, backend(t, func(http.ResponseWriter, *http.Request) {}))
	tests := []struct {
		name, send string
		code       int
	}{
		{"not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n", 400},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"no host", "GET / HTTP/1.1\r\n\r\n", 400},
		{"huge header", "GET / HTTP/1.1\r\nHost: payments\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n", 431},
		{"bad version", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505},
		{"both lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, tt.send)
			x := s.seen.next(t)
			if x.Status != tt.code || x.Flags != forward.FlagDPE || x.Details != "http1.codec_error" {
				t.Errorf("got %d %s %s, want %d DPE", x.Status, x.Flags, x.Details, tt.code)
			}
		})
	}
	if a := s.get("/", "X-Large", strings.Repeat("x", 50<<10)); a.StatusCode != 200 {
		t.Errorf("50 KiB of headers got %d", a.StatusCode)
	}
	if n := s.sockets.Counts().Broken; n != uint64(len(tests)) {
		t.Errorf("%d broken requests counted, want %d", n, len(tests))
	}
	// A client that says nothing and goes is no broken request.
	c, _ := net.Dial("tcp", s.address)
	c.Close()
	// HTTP/2 nonsense after a good preface.
	c, _ = net.Dial("tcp", s.address)
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+strings.Repeat("\xff", 5000))
	io.Copy(io.Discard, c)
	c.Close()
	s.seen.next(t) // the good request
	if a := s.get("/"); a.StatusCode != 200 {
		t.Error("the listener is gone")
	}
}

func TestHTTP10(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	s.simple(route.Forward{}, backend(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	for request, want := range map[string]string{
		"GET / HTTP/1.0\r\nHost: payments\r\n\r\n":                                   "200",
		"GET / HTTP/1.0\r\n\r\n":                                                     "400",
		"GET http://payments/x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n": "200",
		"OPTIONS * HTTP/1.1\r\nHost: payments\r\nConnection: close\r\n\r\n":          "200",
	} {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, request)
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil && !errors.Is(err, io.EOF) || len(b) < 12 || string(b[9:12]) != want {
			t.Errorf("%.30q: got %.40q", request, b)
		}
	}
}
