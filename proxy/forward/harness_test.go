package forward_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	tickets  = mesh.Workload{Namespace: "cinema", Name: "tickets", App: "tickets", Version: "v1"}
	payments = mesh.Workload{Namespace: "cinema", Name: "payments", App: "payments", Version: "v1"}
	service  = mesh.Service{Host: "payments.cinema.svc.cluster.local", Namespace: "cinema", Name: "payments"}
)

// seen is an observer that keeps copies of what the tests look at.
type seen struct {
	mu   sync.Mutex
	list []forward.Exchange
	more chan struct{}

	requests, responses int64 // gRPC messages
	messagesTo          string
}

func (o *seen) Messages(x *forward.Exchange, requests, responses int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests, o.responses, o.messagesTo = o.requests+requests, o.responses+responses, x.Destination.Name
}

func (o *seen) Active() bool { return true }

func (o *seen) Done(x *forward.Exchange) {
	c := *x
	c.Attempts = append([]forward.Attempt(nil), x.Attempts...)
	c.Headers = forward.HeaderView{Request: x.Headers.Request.Clone(), Response: x.Headers.Response.Clone()}
	o.mu.Lock()
	o.list = append(o.list, c)
	o.mu.Unlock()
	o.more <- struct{}{}
}

// next waits for the next exchange to end.
func (o *seen) next(t *testing.T) forward.Exchange {
	t.Helper()
	select {
	case <-o.more:
	case <-time.After(5 * time.Second):
		t.Fatal("no exchange ended")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.list[0]
	o.list = o.list[1:]
	return x
}

// sidecar is an engine behind a real listener.
type sidecar struct {
	t         *testing.T
	engine    *forward.Engine
	sockets   *listen.Set
	seen      *seen
	address   string
	direction listen.Direction
	client    *http.Client
}

func newSidecar(t *testing.T, w mesh.Workload, d listen.Direction, opts ...func(*forward.Options)) *sidecar {
	t.Helper()
	s := &sidecar{t: t, direction: d, seen: &seen{more: make(chan struct{}, 1000)}}
	o := forward.Options{Workload: w, NodeID: w.Name + "-1", Sampling: 1, Observers: []forward.Observer{s.seen}}
	for _, f := range opts {
		f(&o)
	}
	var err error
	if s.engine, err = forward.NewEngine(o); err != nil {
		t.Fatal(err)
	}
	s.sockets = listen.NewSet(listen.Options{Engines: listen.Engines{HTTP: s.engine.Serve, Refused: s.engine.Refused}})
	if s.address, err = s.sockets.Reserve("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.sockets.Drain(ctx)
		s.engine.Close()
	})
	return s
}

// nothingSeen leaves exchanges unobserved, for tests that make many.
func nothingSeen(o *forward.Options) { o.Observers = nil }

// apply serves the routes, with these clusters behind them.
func (s *sidecar) apply(routes []route.Route, clusters ...cluster.Config) {
	s.t.Helper()
	table, err := route.New(route.Config{Name: "routes", Revision: 12, VirtualHosts: []route.VirtualHost{{
		Name: "payments", Domains: []string{"payments.cinema.svc.cluster.local", "payments", "127.0.0.1", s.address}, Routes: routes,
	}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.engine.Apply(forward.Snapshot{Revision: 12, Routes: []*route.Table{table}, Clusters: clusters}); err != nil {
		s.t.Fatal(err)
	}
	err = s.sockets.Apply([]listen.Config{{Name: "test", Address: s.address, Direction: s.direction, RouteName: "routes"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// simple serves everything from one cluster.
func (s *sidecar) simple(f route.Forward, endpoints ...cluster.Endpoint) {
	s.t.Helper()
	f.Clusters = []route.Weighted{{Cluster: "payments"}}
	s.apply([]route.Route{{Name: "r", Object: "VirtualService cinema/payments", Forward: &f}}, paymentsCluster(endpoints...))
}

func paymentsCluster(endpoints ...cluster.Endpoint) cluster.Config {
	return cluster.Config{Name: "payments", Services: []mesh.Service{service}, Endpoints: endpoints}
}

// answer is a response read whole.
type answer struct {
	*http.Response
	body string
}

func (s *sidecar) do(req *http.Request) answer {
	s.t.Helper()
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatalf("read body: %v", err)
	}
	return answer{res, string(b)}
}

func (s *sidecar) request(method, path string, body io.Reader, kv ...string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.address+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = "payments"
	for i := 0; i < len(kv); i += 2 {
		if kv[i] == "Host" {
			req.Host = kv[i+1]
			continue
		}
		req.Header.Add(kv[i], kv[i+1])
	}
	return req
}

func (s *sidecar) get(path string, kv ...string) answer {
	s.t.Helper()
	return s.do(s.request("GET", path, nil, kv...))
}

// backend runs h and gives its endpoint.
func backend(t *testing.T, h http.HandlerFunc) cluster.Endpoint {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = &protocols
	server.Start()
	t.Cleanup(server.Close)
	return cluster.Endpoint{Address: server.Listener.Addr().String(), Workload: payments}
}

// rawBackend runs h on every connection it gets.
func rawBackend(t *testing.T, h func(net.Conn)) cluster.Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				h(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return cluster.Endpoint{Address: ln.Addr().String(), Workload: payments}
}

// nobody is an endpoint where nobody listens.
func nobody(t *testing.T) cluster.Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return cluster.Endpoint{Address: ln.Addr().String(), Workload: payments}
}

func answering(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
		io.WriteString(w, http.StatusText(code))
	}
}
