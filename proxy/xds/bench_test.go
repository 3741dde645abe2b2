package xds

import (
	"fmt"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// manyRoutes is a route configuration as the server compiles it for so many
// services, of which the first has another timeout.
func manyRoutes(tb testing.TB, services, seconds int) *anypb.Any {
	tb.Helper()
	c := &routev3.RouteConfiguration{Name: "outbound"}
	for i := range services {
		timeout := "0s"
		if i == 0 {
			timeout = fmt.Sprintf("%ds", seconds)
		}
		vh := &routev3.VirtualHost{}
		text := fmt.Sprintf(`{"name":"many-%d.bench.svc.cluster.local:80","domains":["many-%d","many-%d:80","many-%d.bench","many-%d.bench:80","many-%d.bench.svc","many-%d.bench.svc:80","many-%d.bench.svc.cluster.local","many-%d.bench.svc.cluster.local:80"],
			"routes":[{"name":"default","match":{"prefix":"/"},"metadata":{"filter_metadata":{"istio":{"config":"/apis/networking.istio.io/v1/namespaces/bench/service-entry/many-%d"}}},
			"route":{"cluster":"outbound|80||many-%d.bench.svc.cluster.local","timeout":%q,"max_grpc_timeout":"0s",
			"retry_policy":{"retry_on":"connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes","num_retries":2,"host_selection_retry_max_attempts":5,
			"retry_host_predicate":[{"name":"envoy.retry_host_predicates.previous_hosts","typed_config":{"@type":"type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"}}]}}}]}`,
			i, i, i, i, i, i, i, i, i, i, i, timeout)
		if err := protojson.Unmarshal([]byte(text), vh); err != nil {
			tb.Fatal(err)
		}
		c.VirtualHosts = append(c.VirtualHosts, vh)
	}
	packed, err := anypb.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

// BenchmarkChangedRoute takes one changed route among 1,000 services in.
func BenchmarkChangedRoute(b *testing.B) {
	versions := [2]*anypb.Any{manyRoutes(b, 1000, 1), manyRoutes(b, 1000, 2)}
	t := newTranslator("bench")
	b.ReportAllocs()
	var last *resource
	for i := 0; b.Loop(); i++ {
		var err error
		if last, err = t.translateAfter(last, mesh.TypeRoute, "outbound", "v", 1, versions[i%2]); err != nil {
			b.Fatal(err)
		}
	}
}
