package dialect

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func of(labels map[string]string) Labels { return func(name string) string { return labels[name] } }

// edge is what Istio's own exporter says of a request from web to catalog.
func edge(more ...string) map[string]string {
	labels := map[string]string{
		"reporter":                       "source",
		"source_workload":                "web",
		"source_workload_namespace":      "cinema",
		"source_canonical_service":       "web",
		"source_canonical_revision":      "v1",
		"source_cluster":                 "Kubernetes",
		"destination_workload":           "catalog-v2",
		"destination_workload_namespace": "cinema",
		"destination_canonical_service":  "unknown",
		"destination_app":                "catalog",
		"destination_canonical_revision": "v2",
		"destination_cluster":            "Kubernetes",
		"destination_service":            "catalog.cinema.svc.cluster.local",
		"destination_service_name":       "catalog",
		"destination_service_namespace":  "cinema",
		"request_protocol":               "http",
		"connection_security_policy":     "unknown",
	}
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

func key(change ...func(*mesh.EdgeKey)) mesh.EdgeKey {
	k := mesh.EdgeKey{
		Reporter: mesh.FromSource,
		Source:   mesh.Workload{Cluster: "Kubernetes", Namespace: "cinema", Name: "web", App: "web", Version: "v1"},
		Target:   mesh.Workload{Cluster: "Kubernetes", Namespace: "cinema", Name: "catalog-v2", App: "catalog", Version: "v2"},
		Service:  mesh.Service{Host: "catalog.cinema.svc.cluster.local", Namespace: "cinema", Name: "catalog"},
		Protocol: mesh.HTTP,
		Security: "unknown",
	}
	for _, c := range change {
		c(&k)
	}
	return k
}

func TestResolve(t *testing.T) {
	tcp := func(k *mesh.EdgeKey) { k.Protocol = mesh.TCP }
	cases := []struct {
		name, metric string
		labels       map[string]string
		want         Fact
	}{
		{
			"requests", "istio_requests_total", edge("response_code", "503", "response_flags", "UF,URX"),
			Fact{Field: Requests, Scale: 1, Key: key(), Outcome: mesh.Outcome{Code: 503, Flags: "UF,URX"}},
		},
		{
			"client went away", "istio_requests_total", edge("response_code", "0", "response_flags", "DC"),
			Fact{Field: Requests, Scale: 1, Key: key(), Outcome: mesh.Outcome{Code: 0, Flags: "DC"}},
		},
		{
			"grpc", "istio_requests_total", edge("request_protocol", "grpc", "response_code", "200", "grpc_response_status", "14"),
			Fact{Field: Requests, Scale: 1, Key: key(func(k *mesh.EdgeKey) { k.Protocol = mesh.GRPC }), Outcome: mesh.Outcome{Code: 200, GRPC: "14", Flags: "-"}},
		},
		{
			"a name without a host", "istio_requests_total", edge("response_code", "502",
				"destination_service", "unknown", "destination_service_name", "BlackHoleCluster", "destination_service_namespace", "unknown"),
			Fact{Field: Requests, Scale: 1, Key: key(func(k *mesh.EdgeKey) {
				k.Service = mesh.Service{Host: "BlackHoleCluster", Name: "BlackHoleCluster"}
			}), Outcome: mesh.Outcome{Code: 502, Flags: "-"}},
		},
		{
			"never reached a workload", "istio_requests_total", edge("response_code", "404", "response_flags", "NR",
				"destination_workload", "unknown", "destination_workload_namespace", "unknown", "destination_canonical_revision", "latest"),
			Fact{Field: Requests, Scale: 1, Key: key(func(k *mesh.EdgeKey) { k.Target = mesh.Workload{} }), Outcome: mesh.Outcome{Code: 404, Flags: "NR"}},
		},
		{
			"server side, mTLS", "istio_requests_total", edge("reporter", "destination", "response_code", "200", "connection_security_policy", "mutual_tls"),
			Fact{
				Field: Requests, Scale: 1, Outcome: mesh.Outcome{Code: 200, Flags: "-"},
				Key: key(func(k *mesh.EdgeKey) { k.Reporter, k.Security = mesh.FromDestination, "mutual_tls" }),
			},
		},
		{
			"nonsense labels", "istio_requests_total", edge("reporter", "martian", "response_code", "teapot", "request_protocol", "QUIC", "connection_security_policy", "maybe"),
			Fact{Field: Requests, Scale: 1, Outcome: mesh.Outcome{Flags: "-"}, Key: key(func(k *mesh.EdgeKey) { k.Reporter = mesh.FromDestination })},
		},
		{
			"native latency", "istio_request_duration_milliseconds", edge(),
			Fact{Field: Latency, Scale: 1, Key: key()},
		},
		{
			"latency bucket", "istio_request_duration_milliseconds_bucket", edge("le", "2.5e+03"),
			Fact{Field: Latency, Part: Bucket, Upper: 2500, Scale: 1, Key: key()},
		},
		{
			"last bucket", "istio_request_duration_milliseconds_bucket", edge("le", "+Inf"),
			Fact{Field: Latency, Part: Bucket, Upper: math.Inf(1), Scale: 1, Key: key()},
		},
		{"latency sum", "istio_request_duration_milliseconds_sum", edge(), Fact{Field: Latency, Part: Sum, Scale: 1, Key: key()}},
		{"latency count", "istio_request_duration_milliseconds_count", edge(), Fact{Field: Latency, Part: Count, Scale: 1, Key: key()}},
		{"request bytes", "istio_request_bytes_sum", edge(), Fact{Field: RequestBytes, Part: Sum, Scale: 1, Key: key()}},
		{"tcp opened", "istio_tcp_connections_opened_total", edge("request_protocol", "tcp"), Fact{Field: TCPOpened, Scale: 1, Key: key(tcp)}},
		{"tcp closed", "istio_tcp_connections_closed_total", edge("request_protocol", ""), Fact{Field: TCPClosed, Scale: 1, Key: key(tcp), Outcome: mesh.Outcome{Flags: "-"}}},
		{"tcp sent in response", "istio_tcp_sent_bytes_total", edge(), Fact{Field: ReceivedBytes, Scale: 1, Key: key(tcp)}},
		{"tcp received with the request", "istio_tcp_received_bytes_total", edge(), Fact{Field: SentBytes, Scale: 1, Key: key(tcp)}},
		{
			"the proxy answered", "sidelight_responses_total",
			edge("response_code", "504", "response_flags", "UT", "response_source", "proxy", "response_code_details", "response_timeout", "config_object", "VirtualService cinema/catalog"),
			Fact{Field: Responses, Scale: 1, Key: key(), Outcome: mesh.Outcome{
				Code: 504, Flags: "UT", AnsweredBy: mesh.AnsweredByProxy, Details: "response_timeout", Object: "VirtualService cinema/catalog",
			}},
		},
		{
			"the service answered", "sidelight_responses_total",
			edge("response_code", "500", "response_source", "upstream", "response_code_details", "via_upstream"),
			Fact{Field: Responses, Scale: 1, Key: key(), Outcome: mesh.Outcome{Code: 500, Flags: "-", AnsweredBy: mesh.AnsweredByUpstream}},
		},
		{"attempts", "sidelight_upstream_attempts_total", edge(), Fact{Field: Attempts, Scale: 1, Key: key()}},
		{"connections", "sidelight_upstream_connections_opened_total", edge(), Fact{Field: NewConnections, Scale: 1, Key: key()}},
		{"open connections", "sidelight_tcp_connections_active", edge(), Fact{Field: ActiveConnections, Scale: 1, Key: key(tcp)}},
		{"process start", "process_start_time_seconds", nil, Fact{Field: ProcessStart, Scale: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := All().Resolve(c.metric, of(c.labels))
			if !ok {
				t.Fatal("means nothing")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("fact differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMeansNothing(t *testing.T) {
	for _, metric := range []string{
		"", "up", "istio_build", "istio_requests", "istio_requests_total_bucket", "istio_requests_total_sum",
		"istio_tcp_sent_bytes_total_count", "_bucket", "_sum", "sidelight_node_info", "envoy_cluster_upstream_rq_total",
	} {
		if f, ok := All().Resolve(metric, of(edge("le", "1"))); ok {
			t.Errorf("%q means %+v", metric, f)
		}
	}
	for _, le := range []string{"", "wide", "NaN"} {
		if f, ok := All().Resolve("istio_request_duration_milliseconds_bucket", of(edge("le", le))); ok {
			t.Errorf("bucket %q means %+v", le, f)
		}
	}
}

// TestNamesAreApart holds that no two dialects speak of the same metric.
func TestNamesAreApart(t *testing.T) {
	by := make(map[string]string)
	for _, d := range All() {
		for name := range d.metrics {
			if other, ok := by[name]; ok {
				t.Errorf("%s is in both %s and %s", name, other, d.Name)
			}
			by[name] = d.Name
		}
	}
}

// FuzzResolve holds that whatever the wire says gives bounded, valid facts.
func FuzzResolve(f *testing.F) {
	f.Add("istio_requests_total", "source", "web", "200", "-", "x")
	f.Add("istio_request_duration_milliseconds_bucket", "", "unknown", "-1", "UF,URX", "1e400")
	f.Add("istio_requests_total", "waypoint", "web", "200", "-", "x")
	f.Add("sidelight_responses_total", "destination", strings.Repeat("ä", 300), "99999999999999999999", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, metric, reporter, name, code, flags, le string) {
		fact, ok := All().Resolve(metric, of(map[string]string{
			"reporter": reporter, "source_workload": name, "destination_workload": name, "destination_service": name,
			"response_code": code, "response_flags": flags, "le": le, "response_source": "proxy", "response_code_details": name,
		}))
		if !ok {
			return
		}
		if fact.Key != (mesh.EdgeKey{}) && !slices.Contains([]mesh.Reporter{mesh.FromSource, mesh.FromDestination, mesh.FromWaypoint}, fact.Key.Reporter) {
			t.Errorf("reporter %q", fact.Key.Reporter)
		}
		if fact.Outcome.Code < 0 || fact.Outcome.Code > 999 || math.IsNaN(fact.Upper) {
			t.Errorf("fact %+v", fact)
		}
		for _, s := range []string{fact.Key.Source.Name, fact.Key.Service.Host, fact.Outcome.Flags, fact.Outcome.Details} {
			if len(s) > 256 || utf8.ValidString(name) && utf8.ValidString(flags) && !utf8.ValidString(s) {
				t.Errorf("%q is not bounded, or was cut in a character", s)
			}
		}
	})
}
