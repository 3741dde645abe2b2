package route_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func TestClientsOverrides(t *testing.T) {
	unlimited, second := time.Duration(0), time.Second
	base := &route.Retry{On: []string{"5xx"}, Num: 2, PerTry: time.Second}
	type result struct {
		Timeout, PerTry time.Duration
		Num             uint32
		On              route.Conditions
		Codes           []int
	}
	for _, tt := range []struct {
		name    string
		forward route.Forward
		header  route.Header
		grpc    bool
		want    result
		left    int
	}{
		{
			"nothing",
			route.Forward{Timeout: 5 * time.Second, Retry: base},
			route.Header{"A": {"b"}},
			false,
			result{5 * time.Second, time.Second, 2, route.On5xx, nil},
			1,
		},
		{"timeouts", route.Forward{Timeout: 5 * time.Second, Retry: base}, route.Header{
			"X-Envoy-Upstream-Rq-Timeout-Ms": {"250"}, "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": {"50"},
		}, false, result{250 * time.Millisecond, 50 * time.Millisecond, 2, route.On5xx, nil}, 0},
		{"retries beside the policy's", route.Forward{Retry: base}, route.Header{
			"X-Envoy-Max-Retries": {"7"}, "X-Envoy-Retry-On": {"reset, retriable-status-codes, nonsense"},
			"X-Envoy-Retry-Grpc-On": {"unavailable"}, "X-Envoy-Retriable-Status-Codes": {"409,418"},
		}, false, result{0, time.Second, 7, route.On5xx | route.OnReset | route.OnRetriableStatusCodes | route.OnUnavailable, []int{409, 418}}, 0},
		{
			"retries without a policy",
			route.Forward{},
			route.Header{"X-Envoy-Retry-On": {"5xx"}},
			false,
			result{0, 0, 1, route.On5xx, nil},
			0,
		},
		{"unreadable", route.Forward{Timeout: time.Second, Retry: base}, route.Header{
			"X-Envoy-Upstream-Rq-Timeout-Ms": {"-5"}, "X-Envoy-Max-Retries": {"many"},
		}, false, result{time.Second, time.Second, 2, route.On5xx, nil}, 0},
		{
			"gRPC deadline",
			route.Forward{MaxGRPC: &unlimited},
			route.Header{"Grpc-Timeout": {"250m"}},
			true,
			result{250 * time.Millisecond, 0, 0, 0, nil},
			1,
		},
		{
			"gRPC deadline above the route's",
			route.Forward{Timeout: time.Second, MaxGRPC: &second},
			route.Header{"Grpc-Timeout": {"1H"}},
			true,
			result{time.Second, 0, 0, 0, nil},
			1,
		},
		{
			"gRPC deadline that is none",
			route.Forward{Timeout: time.Second, MaxGRPC: &second},
			route.Header{"Grpc-Timeout": {"1"}},
			true,
			result{time.Second, 0, 0, 0, nil},
			1,
		},
		{
			"gRPC deadline not heeded",
			route.Forward{Timeout: time.Second},
			route.Header{"Grpc-Timeout": {"1m"}},
			true,
			result{time.Second, 0, 0, 0, nil},
			1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.forward.Clusters = []route.Weighted{{Cluster: "c"}}
			table, err := route.New(route.Config{Name: "t", VirtualHosts: []route.VirtualHost{{
				Name: "h", Domains: []string{"*"}, Routes: []route.Route{{Forward: &tt.forward}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			f := table.Match(&route.Request{Host: "h", Path: "/"}).Route.Forward
			own := f.For(tt.header, tt.grpc)
			got := result{Timeout: own.Timeout, On: own.Policy().On}
			if r := own.Policy().Retry; r != nil && got.On != 0 {
				got.PerTry, got.Num, got.Codes = r.PerTry, r.Num, r.StatusCodes
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(tt.header) != tt.left {
				t.Errorf("%d headers left, want %d; (-want +got):\n%s", len(tt.header), tt.left, diff)
			}
			if len(base.StatusCodes) != 0 || base.Num != 2 {
				t.Errorf("the route's own policy changed: %+v", base)
			}
		})
	}
}
