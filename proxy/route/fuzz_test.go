package route_test

import (
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// FuzzOverrides gives a client's own headers: whatever they say, times are not
// negative, the headers go no further, and the route stays what it is.
func FuzzOverrides(f *testing.F) {
	f.Add("250", "50", "3", "5xx,reset", "unavailable", "409, 503", "1S")
	f.Add("-1", "99999999999999", "4294967296", ",,", "x", "a,,9999999999999999999", "99999999H")
	f.Add("", "0", "0", "", "", "", "0n")
	f.Fuzz(func(t *testing.T, timeout, perTry, retries, on, grpcOn, codes, deadline string) {
		var most time.Duration
		forward := &route.Forward{Clusters: []route.Weighted{{Cluster: "a"}}, MaxGRPC: &most, Retry: &route.Retry{On: []string{"5xx"}, Num: 2}}
		if _, err := route.New(route.Config{Name: "r", VirtualHosts: []route.VirtualHost{{
			Name: "all", Domains: []string{"*"}, Routes: []route.Route{{Forward: forward}},
		}}}); err != nil {
			t.Fatal(err)
		}
		h := route.Header{"Other": {"stays"}, "Grpc-Timeout": {deadline}}
		for name, value := range map[string]string{
			"X-Envoy-Upstream-Rq-Timeout-Ms": timeout, "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": perTry, "X-Envoy-Max-Retries": retries,
			"X-Envoy-Retry-On": on, "X-Envoy-Retry-Grpc-On": grpcOn, "X-Envoy-Retriable-Status-Codes": codes,
		} {
			h[name] = []string{value}
		}
		got := forward.For(h, true)
		policy := got.Policy()
		if got.Timeout < 0 || policy.PerTry < 0 || len(h) != 2 {
			t.Errorf("timeout %s, per try %s, headers %v", got.Timeout, policy.PerTry, h)
		}
		if forward.Timeout != 0 || forward.Retry.Num != 2 || forward.Policy().Num != 2 {
			t.Errorf("the route itself changed: %+v", forward)
		}
	})
}
