package forward_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// zone is a resolver that knows one name, bank.test.
type zone struct {
	mu    sync.Mutex
	found []netip.Addr
	asked int
}

func (z *zone) Lookup(_ context.Context, name string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	if name != "bank.test" || len(z.found) == 0 {
		return nil, 0, errors.New("no such name")
	}
	return slices.Clone(z.found), 0, nil
}

func (z *zone) set(addresses ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.found = nil
	for _, a := range addresses {
		z.found = append(z.found, netip.MustParseAddr(a))
	}
}

// threeOnOnePort are servers at 127.0.0.1 to 127.0.0.3 that answer with their own
// address.
func threeOnOnePort(t *testing.T) (port string) {
	t.Helper()
	ips := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	for range 20 { // a port that is free at one address may be taken at another
		listeners, err := listenOnOnePort(ips)
		if err != nil {
			t.Log(err)
			continue
		}
		for i, ln := range listeners {
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, ips[i]+" "+r.Host) })}
			go server.Serve(ln)
			t.Cleanup(func() { server.Close() })
		}
		_, port, _ = net.SplitHostPort(listeners[0].Addr().String())
		return port
	}
	t.Fatal("no port is free at all three addresses")
	return ""
}

func listenOnOnePort(ips []string) (all []net.Listener, err error) {
	port := "0"
	for _, ip := range ips {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, port))
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, err
		}
		_, port, _ = net.SplitHostPort(ln.Addr().String())
		all = append(all, ln)
	}
	return all, nil
}

func TestDNSCluster(t *testing.T) {
	port := threeOnOnePort(t)
	z := &zone{}
	z.set("127.0.0.1", "127.0.0.2")
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen, func(o *forward.Options) { o.Resolver = z })
	c := paymentsCluster(cluster.Endpoint{Address: "bank.test:" + port})
	serve := func(how cluster.DNS) {
		c.DNS = &how
		s.apply([]route.Route{{Forward: &route.Forward{AutoHost: true, Clusters: []route.Weighted{{Cluster: c.Name}}}}}, c)
	}
	// answers waits until requests are answered by these, and nobody else.
	answers := func(want ...string) {
		t.Helper()
		var got []string
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			got = nil
			for range 6 {
				if a := s.get("/"); a.StatusCode == 200 {
					got = append(got, a.body)
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); slices.Equal(got, want) {
				return
			}
		}
		t.Fatalf("answered by %v, want %v", got, want)
	}
	every := cluster.DNS{Every: 10 * time.Millisecond}
	serve(every)
	answers("127.0.0.1 bank.test", "127.0.0.2 bank.test")
	z.set("127.0.0.2", "127.0.0.3")
	answers("127.0.0.2 bank.test", "127.0.0.3 bank.test")
	z.set() // does not resolve: what is known goes on
	u, _ := s.engine.Upstream(c.Name)
	for _, failed := s.engine.Lookups(); failed == 0; _, failed = s.engine.Lookups() {
		time.Sleep(time.Millisecond)
	}
	answers("127.0.0.2 bank.test", "127.0.0.3 bank.test")

	// A new configuration of the same cluster keeps what was found, from its first
	// request on.
	c.Limits.MaxRetries = 7
	serve(every)
	if now, _ := s.engine.Upstream(c.Name); now == u || len(now.Hosts().All()) != 2 {
		t.Errorf("after a change: %d endpoints", len(now.Hosts().All()))
	}

	// Of a LOGICAL_DNS cluster one address is used, and stays while it is there.
	logical := cluster.DNS{Logical: true, Every: 10 * time.Millisecond}
	serve(logical)
	answers("127.0.0.2 bank.test")
	z.set("127.0.0.3", "127.0.0.2")
	before := z.count()
	for end := time.Now().Add(5 * time.Second); z.count() < before+3 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	answers("127.0.0.2 bank.test")
	z.set("127.0.0.3")
	answers("127.0.0.3 bank.test")
}

func (z *zone) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// A name that never resolved is told as such.
func TestDNSClusterWithoutAnswer(t *testing.T) {
	s := newSidecar(t, tickets, listen.Outbound, func(o *forward.Options) { o.Resolver = &zone{} })
	c := paymentsCluster(cluster.Endpoint{Address: "nobody.invalid:80"})
	c.DNS = &cluster.DNS{}
	s.apply([]route.Route{{Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: c.Name}}}}}, c)
	if a := s.get("/"); a.StatusCode != 503 {
		t.Errorf("status %d", a.StatusCode)
	}
	if x := s.seen.next(t); x.Flags != forward.FlagUF || x.Attempts[0].Reason != "name does not resolve" {
		t.Errorf("%s, %+v", x.Flags, x.Attempts)
	}
}
