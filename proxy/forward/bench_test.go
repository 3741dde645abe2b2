package forward_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
	"github.com/sidelight-mesh/sidelight/proxy/telemetry"
)

// BenchmarkApply swaps configurations of 1,000 clusters and 5,000 endpoints, of
// which one differs.
func BenchmarkApply(b *testing.B) {
	e, err := forward.NewEngine(forward.Options{Workload: tickets})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	var both [2]forward.Snapshot
	for v := range both {
		both[v] = forward.Snapshot{Revision: uint64(v), Endpoints: map[string][]cluster.Endpoint{}}
	}
	for i := range 1000 {
		c := cluster.Config{Name: fmt.Sprintf("outbound|80||many-%d.bench.svc.cluster.local", i), EDS: true, Policy: cluster.LeastRequest}
		var endpoints []cluster.Endpoint
		for j := range 5 {
			endpoints = append(endpoints, cluster.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d:80", i/250, i%250, j), Workload: payments})
		}
		other := endpoints
		if i == 0 {
			other = []cluster.Endpoint{{Address: "10.9.9.9:80"}}
		}
		for v, list := range [2][]cluster.Endpoint{endpoints, other} {
			both[v].Clusters = append(both[v].Clusters, c)
			both[v].Endpoints[c.Name] = list
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := e.Apply(both[i%2]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequests sends requests through an engine behind a real listener, and
// through Go's ReverseProxy, over HTTP/1.1 and as unary gRPC calls over HTTP/2.
// Client and server are in the process, too, and the same for both: the
// difference is what the proxies cost.
func BenchmarkRequests(b *testing.B) {
	for _, proto := range []string{"http1", "grpc"} {
		h2 := proto == "grpc"
		up := benchServer(b, func(w http.ResponseWriter, r *http.Request) {
			if !h2 {
				w.Header()["Content-Type"] = []string{"text/plain"}
				_, _ = w.Write(make([]byte, 1024))
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write([]byte{0, 0, 0, 0, 1, 'a'})
			w.Header().Set("Grpc-Status", "0")
		})
		b.Run(proto+"/sidelight", func(b *testing.B) {
			e, err := forward.NewEngine(forward.Options{Workload: tickets, Sampling: 0.01, Observers: []forward.Observer{telemetry.NewMetrics(prometheus.NewRegistry())}})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			table, err := route.New(route.Config{Name: "routes", VirtualHosts: []route.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: []route.Route{{
				Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: "payments"}}, Retry: quick("connect-failure,refused-stream", 2)},
			}}}}})
			if err != nil {
				b.Fatal(err)
			}
			c := cluster.Config{Name: "payments", Services: []mesh.Service{service}, HTTP2: h2, Endpoints: []cluster.Endpoint{{Address: up, Workload: payments}}}
			if err := e.Apply(forward.Snapshot{Routes: []*route.Table{table}, Clusters: []cluster.Config{c}}); err != nil {
				b.Fatal(err)
			}
			set := listen.NewSet(listen.Options{Engines: listen.Engines{HTTP: e.Serve}})
			address, err := set.Reserve("127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			if err := set.Apply([]listen.Config{{Name: "test", Address: address, Direction: listen.Outbound, RouteName: "routes"}}); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			defer set.Drain(ctx)
			press(b, address, h2)
		})
		b.Run(proto+"/reverseproxy", func(b *testing.B) {
			to, _ := url.Parse("http://" + up)
			transport := &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true, Protocols: benchProtocols(!h2, h2)}
			defer transport.CloseIdleConnections()
			p := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport, FlushInterval: -1}
			press(b, benchServer(b, p.ServeHTTP), h2)
		})
	}
}

func benchProtocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

func benchServer(b *testing.B, h http.HandlerFunc) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: h, Protocols: benchProtocols(true, true)}
	go s.Serve(ln)
	b.Cleanup(func() { s.Close() })
	return ln.Addr().String()
}

// press sends b.N requests, 32 at a time.
func press(b *testing.B, address string, h2 bool) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, Protocols: benchProtocols(!h2, h2)}
	defer transport.CloseIdleConnections()
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var req *http.Request
			if h2 {
				req, _ = http.NewRequest("POST", "http://"+address+"/echo.Echo/Unary", bytes.NewReader([]byte{0, 0, 0, 0, 1, 'a'}))
				req.Header["Content-Type"], req.Header["Te"] = []string{"application/grpc"}, []string{"trailers"}
			} else {
				req, _ = http.NewRequest("GET", "http://"+address+"/", nil)
			}
			res, err := transport.RoundTrip(req)
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			if err != nil || res.StatusCode != 200 || h2 && res.Trailer.Get("Grpc-Status") != "0" {
				b.Errorf("%v %v", res, err)
				return
			}
		}
	})
}
