package target

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// zone is a resolver that answers by heart; an error answers everything.
type zone struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
	err   error
}

func (z *zone) LookupHost(_ context.Context, host string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err != nil {
		return nil, z.err
	}
	if a, ok := z.hosts[host]; ok {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (z *zone) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.err != nil {
		return "", nil, z.err
	}
	return name, z.srv[name], nil
}

// now makes the zone what change says.
func (z *zone) now(change func(*zone)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	change(z)
}

func TestDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{
			hosts: map[string][]string{"proxies": {"10.0.0.2", "10.0.0.1", "fd00::1"}},
			srv:   map[string][]*net.SRV{"_metrics._tcp.mesh": {{Target: "a.mesh.", Port: 15020}}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		told := map[string][]string{}
		var sources []*DNS
		for _, name := range []string{"proxies:15020", "_metrics._tcp.mesh"} {
			d, err := NewDNS(DNSOptions{Name: name, Resolver: z})
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, d)
			go func() {
				_ = d.Run(ctx, func(targets []Target) {
					mu.Lock()
					defer mu.Unlock()
					told[name] = nil
					for _, at := range targets {
						told[name] = append(told[name], at.Address)
					}
				})
			}()
		}
		expect := func(when string, plain, srv int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(told["proxies:15020"]) != plain || len(told["_metrics._tcp.mesh"]) != srv {
				t.Errorf("%s: %v", when, told)
			}
		}
		expect("at first", 3, 1)
		if got := told["proxies:15020"]; got[0] != "10.0.0.1:15020" || got[2] != "[fd00::1]:15020" || told["_metrics._tcp.mesh"][0] != "a.mesh:15020" {
			t.Errorf("addresses %v", told)
		}
		z.now(func(z *zone) { z.err = errors.New("server misbehaving") })
		time.Sleep(31 * time.Second)
		expect("while the server fails", 3, 1)
		if p := sources[0].Problems(); len(p) != 1 || p[0].Source != "proxies:15020" {
			t.Errorf("problems %+v", p)
		}
		z.now(func(z *zone) { z.err, z.hosts = nil, nil })
		time.Sleep(30 * time.Second)
		expect("when the name is gone", 0, 1)
		if p := sources[0].Problems(); len(p) != 0 {
			t.Errorf("problems %+v", p)
		}
		cancel()
		synctest.Wait()
	})
	for _, bad := range []string{"", "proxies", "proxies:0", ":80", "proxies:http"} {
		if _, err := NewDNS(DNSOptions{Name: bad}); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
