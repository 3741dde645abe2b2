package forward_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// shouting answers what it got in capital letters, once its client has ended.
func shouting(c net.Conn) {
	all, err := io.ReadAll(c)
	if err == nil {
		io.WriteString(c, strings.ToUpper(string(all)))
	}
}

// tunnels serves CONNECT from the endpoints.
func (s *sidecar) tunnels(f route.Forward, c cluster.Config) {
	s.t.Helper()
	f.Clusters, f.Tunnel = []route.Weighted{{Cluster: c.Name}}, true
	s.apply([]route.Route{{Name: "t", Match: route.Match{Connect: true}, Forward: &f}}, c)
}

// ask sends a CONNECT request with bytes right behind it, and gives the answer
// and the connection.
func (s *sidecar) ask(behind string) (*http.Response, net.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, "CONNECT payments HTTP/1.1\r\nHost: payments\r\n\r\n"+behind); err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		s.t.Fatal(err)
	}
	return res, c, r
}

func TestConnectJoinsTheClientWithAnEndpoint(t *testing.T) {
	dead := nobody(t)
	s := newSidecar(t, tickets, listen.Outbound)
	f := route.Forward{Retry: quick("connect-failure", 3)}
	f.Retry.AvoidPrevious, f.Retry.HostAttempts = true, 5
	s.tunnels(f, paymentsCluster(dead, rawBackend(t, shouting)))
	for range 4 { // at least one begins at the dead endpoint
		res, c, r := s.ask("hello, ")
		if res.StatusCode != 200 || len(res.TransferEncoding) > 0 || res.Header.Get("Content-Length") != "" {
			t.Fatalf("%d %v", res.StatusCode, res.Header)
		}
		io.WriteString(c, "world")
		c.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(r); err != nil || string(got) != "HELLO, WORLD" {
			t.Fatalf("got %q, %v", got, err)
		}
		x := s.seen.next(t)
		if x.Status != 200 || x.Method != "CONNECT" || x.Flags != 0 || x.AnsweredBy() != "upstream" || x.Service != service ||
			!x.Attempts[len(x.Attempts)-1].Reached {
			t.Errorf("exchange %+v", x)
		}
		if x.RequestBytes < 12 || x.ResponseBytes < 12 {
			t.Errorf("%d and %d bytes", x.RequestBytes, x.ResponseBytes)
		}
	}
}

func TestConnectOverHTTP2(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	// The client's end of the stream is the end of what the endpoint gets.
	s.tunnels(route.Forward{}, paymentsCluster(rawBackend(t, shouting)))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	out, in := io.Pipe()
	req := s.request("CONNECT", "", out)
	go func() {
		io.WriteString(in, "hello")
		in.Close()
	}()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || string(got) != "HELLO" {
		t.Errorf("%d %q, %v", res.StatusCode, got, err)
	}
	if x := s.seen.next(t); x.Proto != "HTTP/2.0" || x.Status != 200 || x.Flags != 0 {
		t.Errorf("exchange %+v", x)
	}
}

func TestConnectWhenTheServiceEndsFirst(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound)
	s.tunnels(route.Forward{}, paymentsCluster(rawBackend(t, func(c net.Conn) { io.WriteString(c, "bye") })))
	_, c, r := s.ask("")
	if got, err := io.ReadAll(r); err != nil || string(got) != "bye" {
		t.Errorf("got %q, %v", got, err)
	}
	c.Close()
	s.seen.next(t)
}

func TestConnectIsRefused(t *testing.T) {
	up := rawBackend(t, shouting)
	tunnel := route.Route{Match: route.Match{Connect: true}, Forward: &route.Forward{Tunnel: true, Clusters: []route.Weighted{{Cluster: "payments"}}}}
	closed := tunnel
	closed.Forward = &route.Forward{Clusters: tunnel.Forward.Clusters}
	plain := route.Route{Forward: closed.Forward}
	direct := route.Route{Match: tunnel.Match, Direct: &route.Direct{Status: 451}}
	for name, c := range map[string]struct {
		route   route.Route
		allowed bool
		cluster cluster.Config
		status  int
		details string
		flags   forward.Flags
	}{
		"by nobody allowed":            {plain, false, paymentsCluster(up), 403, "upgrade_failed", 0},
		"by the listener allowed only": {plain, true, paymentsCluster(up), 404, "route_not_found", forward.FlagNR},
		"by the route forbidden":       {closed, true, paymentsCluster(up), 403, "upgrade_failed", 0},
		"answered by the route":        {direct, false, paymentsCluster(up), 451, "direct_response", 0},
		"with nobody there":            {tunnel, false, paymentsCluster(nobody(t)), 503, "", forward.FlagUF},
		"with no endpoint":             {tunnel, false, paymentsCluster(), 503, "no_healthy_upstream", forward.FlagUH},
		"with too many connections":    {tunnel, false, full(up), 503, "", forward.FlagUO},
		"with an unknown cluster":      {tunnel, false, cluster.Config{Name: "other"}, 503, "cluster_not_found", forward.FlagNC},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSidecar(t, tickets, listen.Outbound)
			s.apply([]route.Route{c.route}, c.cluster)
			if c.allowed {
				if err := s.sockets.Apply([]listen.Config{{
					Name: "test", Address: s.address, Direction: s.direction, RouteName: "routes", Connect: true,
				}}); err != nil {
					t.Fatal(err)
				}
			}
			if c.flags == forward.FlagUO {
				u, _ := s.engine.Upstream("payments")
				u.AcquireConn()
				defer u.ReleaseConn()
			}
			res, conn, _ := s.ask("")
			if res.StatusCode != c.status {
				t.Errorf("status %d, want %d", res.StatusCode, c.status)
			}
			conn.Close()
			if x := s.seen.next(t); c.details != "" && x.Details != c.details || x.Flags != c.flags || x.AnsweredBy() != "proxy" {
				t.Errorf("%s, flags %s", x.Details, x.Flags)
			}
		})
	}
}

// full is a cluster of one connection at most.
func full(e cluster.Endpoint) cluster.Config {
	c := paymentsCluster(e)
	c.Limits.MaxConnections = 1
	return c
}

func TestConnectEndsWithItsClient(t *testing.T) {
	gone := make(chan struct{})
	s := newSidecar(t, tickets, listen.Outbound)
	s.tunnels(route.Forward{}, paymentsCluster(rawBackend(t, func(c net.Conn) {
		io.Copy(io.Discard, c)
		close(gone)
	})))
	_, c, _ := s.ask("hello")
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	<-gone
	s.seen.next(t)
	if u, _ := s.engine.Upstream("payments"); u.Levels().Connections != 0 || u.Hosts().All()[0].Active() != 0 {
		t.Errorf("%+v", u.Levels())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.sockets.Drain(ctx)
}
