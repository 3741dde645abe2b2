package forward_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// Configurations are swapped while requests are under way: each is answered, by
// one configuration as a whole. The generation that a route writes into the
// request must be one of the cluster that it names.
func TestSwapUnderLoad(t *testing.T) {
	const clients, each = 4, 150
	var wrong atomic.Int64
	parity := func(want int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if n, err := strconv.Atoi(r.Header.Get("X-Generation")); err != nil || n%2 != want {
				wrong.Add(1)
			}
			fmt.Fprintf(w, "%d", len(body))
		}
	}
	even, odd := backend(t, parity(0)), backend(t, parity(1))
	s := newSidecar(t, tickets, listen.Outbound, nothingSeen)
	swap := func(n int) {
		c := paymentsCluster(even)
		if n%2 == 1 {
			c = paymentsCluster(odd)
		}
		c.Name = fmt.Sprint("generation-", n%6) // clusters come, stay with another content, and go
		s.apply([]route.Route{{
			Name: "r", Forward: &route.Forward{Clusters: []route.Weighted{{Cluster: c.Name}}},
			RequestHeaders: route.HeaderOps{Set: []route.HeaderSet{{Name: "X-Generation", Value: fmt.Sprint(n)}}},
		}}, c)
	}
	swap(0)
	var load sync.WaitGroup
	var left atomic.Int64
	left.Store(clients)
	for range clients {
		load.Go(func() {
			defer left.Add(-1)
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := range each {
				body := strings.Repeat("x", i*100)
				res, err := client.Do(s.request("POST", "/", strings.NewReader(body)))
				if err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != 200 || string(got) != fmt.Sprint(len(body)) {
					t.Errorf("request %d: %d %q %v", i, res.StatusCode, got, err)
					return
				}
			}
		})
	}
	swaps := 1
	for ; left.Load() > 0; swaps++ {
		swap(swaps)
	}
	load.Wait()
	if wrong.Load() != 0 {
		t.Errorf("%d of %d requests went to another configuration's cluster over %d swaps", wrong.Load(), clients*each, swaps)
	}
}
