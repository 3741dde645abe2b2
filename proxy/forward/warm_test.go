package forward_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// An endpoint that comes warms up as time goes by, without any request.
func TestWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := forward.NewEngine(forward.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		apply := func(addresses ...string) {
			c := cluster.Config{Name: "c", Policy: cluster.RoundRobin, SlowStart: &cluster.SlowStart{Window: 10 * time.Second}}
			for _, a := range addresses {
				c.Endpoints = append(c.Endpoints, cluster.Endpoint{Address: a})
			}
			if err := e.Apply(forward.Snapshot{Clusters: []cluster.Config{c}}); err != nil {
				t.Fatal(err)
			}
		}
		drawn := func() (n int) {
			u, _ := e.Upstream("c")
			for range 1000 {
				if u.Hosts().Pick(0).Endpoint().Address == "10.0.0.2:80" {
					n++
				}
			}
			return n
		}
		apply("10.0.0.1:80")
		time.Sleep(11 * time.Second)
		apply("10.0.0.1:80", "10.0.0.2:80")
		if n := drawn(); n > 20 {
			t.Errorf("%d of 1000 at once", n)
		}
		time.Sleep(11 * time.Second)
		drawn()
		if n := drawn(); n < 490 || n > 510 {
			t.Errorf("%d of 1000 after the time, want half", n)
		}
	})
}
