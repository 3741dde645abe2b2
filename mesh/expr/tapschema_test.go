package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
)

var charge = mesh.TapEvent{
	Direction:   "outbound",
	Source:      mesh.Workload{Cluster: "c1", Namespace: "cinema", Name: "tickets-v1", App: "tickets"},
	Destination: mesh.Workload{Namespace: "bank", Name: "payments-v2", App: "payments"},
	Service:     mesh.Service{Host: "payments.bank.svc.cluster.local", Namespace: "bank", Name: "payments"},
	Protocol:    mesh.GRPC, Method: "POST", Authority: "payments:8080", Path: "/v1/charges?card=4111",
	Status: 200, GRPCStatus: "14", Flags: "UF,URX", AnsweredBy: mesh.AnsweredByProxy,
	Details: "upstream_reset", Route: "primary", RouteObject: "VirtualService bank/payments",
	Cluster: "outbound|8080||payments", Revision: 7, Attempts: []mesh.Attempt{{QueueMS: 2, ConnectMS: 1}, {QueueMS: 1.5}, {}},
	DurationMS: 1500, RequestBytes: 1000, ResponseBytes: 2000, TraceID: "abc123", TLS: "mutual_tls",
	SourcePrincipal: "spiffe://cluster.local/ns/cinema/sa/tickets", DestinationPrincipal: "spiffe://cluster.local/ns/bank/sa/payments",
	RequestHeaders: []mesh.Header{
		{Name: "authorization", Redacted: true, Bytes: 9}, {Name: "user-agent", Value: "curl/8.1"}, {Name: "x-a", Value: "1"}, {Name: "x-a", Value: "2"},
	},
	ResponseHeaders: []mesh.Header{{Name: "cache-control", Value: "no-store"}},
}

func TestTapFields(t *testing.T) {
	tests := []struct {
		src  string
		want bool
	}{
		{"from = cinema/tickets-v1", true},
		{"source = tickets", true},
		{"from = tickets-v1", true},
		{"from = payments", false},
		{"from != tickets", false},
		{"to = bank/payments-v2", true},
		{"destination = payments", true},
		{"workload = payments and workload = tickets", true},
		{"namespace = bank and ns = cinema", true},
		{"namespace = other", false},
		{"service = payments", true},
		{"svc $= .cluster.local", true},
		{"host = payments:8080", true},
		{"method = post", true},
		{"path = /v1/charges", true},
		{"path *= 4111", false},
		{"4111", false},
		{"charges", true},
		{"route = primary", true},
		{"object *= bank/payments", true},
		{"status = 2xx", true},
		{"grpc = 14", true},
		{"grpc = unavailable", true},
		{"grpc = OK", false},
		{"error", true},
		{"not failed", false},
		{"duration > 1.4s and latency < 1.6s", true},
		{"bytes = 3kB and request_bytes = 1kB and response_bytes = 2kB", true},
		{"flags = UF and flags = URX", true},
		{"flags = UH", false},
		{"answered_by = proxy", true},
		{"by = upstream", false},
		{"details ^= upstream_", true},
		{"attempts > 2", true},
		{"tls = mutual_tls", true},
		{"source_principal $= /sa/tickets", true},
		{"principal = spiffe://cluster.local/ns/cinema/sa/web", false},
		{"destination_principal ^= spiffe://cluster.local/ns/bank/", true},
		{"direction = outbound", true},
		{"protocol = grpc", true},
		{"cluster ^= outbound|8080|", true},
		{"revision = 7", true},
		{"trace = ABC123", true},
		{"seen_by ^= cinema/", true},
		{"reporter = payments", false},
		{"queue = 3.5ms and queued > 3", true},
		{"connect >= 2ms", false},
		{"header[User-Agent] ^= curl", true},
		{"request_header[x-a] = 2", true},
		{"header[x-a] != 3 and not header[x-b]", true},
		{"header[user-agent] = curl", false},
		{"header[authorization]", true},
		{"header[cache-control]", false},
		{"response_header[cache-control] = no-store", true},
	}
	used := make(map[int]bool)
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			e, err := Parse(tt.src, TapSchema())
			if err != nil {
				t.Fatal(err)
			}
			e.Match(func(i int) Value {
				if key, keyed := e.Key(i); keyed {
					used[key.Field] = true
					return headerValue(charge.Header(key.Field == tapResponseHeader, key.Name))
				}
				used[i] = true
				return TapValue(&charge, i)
			})
			if got := MatchTap(e, &charge, charge.Header); got != tt.want {
				t.Errorf("match = %v, want %v", got, tt.want)
			}
		})
	}
	for i, f := range TapSchema().Fields {
		if !used[i] {
			t.Errorf("field %q is in no test", f.Name)
		}
		if f.Help == "" {
			t.Errorf("field %q has no help", f.Name)
		}
	}
}

// A filter must not be a way to guess what is redacted.
func TestSecretHeaders(t *testing.T) {
	for _, src := range []string{"header[authorization] ^= Bearer", "not header[Cookie] ~ id=1", "response_header[set-cookie] *= a", "header[x-api-key] != a"} {
		var wrong *SyntaxError
		if _, err := Parse(src, TapSchema()); !errors.As(err, &wrong) || !strings.Contains(wrong.Msg, "is redacted") {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestTapFailed(t *testing.T) {
	tests := []struct {
		name string
		ev   mesh.TapEvent
		want bool
	}{
		{"ok", mesh.TapEvent{Protocol: mesh.HTTP, Status: 200, Flags: "-"}, false},
		{"client error", mesh.TapEvent{Protocol: mesh.HTTP, Status: 404}, false},
		{"server error", mesh.TapEvent{Protocol: mesh.HTTP, Status: 503}, true},
		{"no answer", mesh.TapEvent{Protocol: mesh.HTTP}, true},
		{"grpc ok by number", mesh.TapEvent{Protocol: mesh.GRPC, Status: 200, GRPCStatus: "0"}, false},
		{"grpc ok by name", mesh.TapEvent{Protocol: mesh.GRPC, Status: 200, GRPCStatus: "OK"}, false},
		{"grpc error", mesh.TapEvent{Protocol: mesh.GRPC, Status: 200, GRPCStatus: "14"}, true},
		{"tcp closed", mesh.TapEvent{Protocol: mesh.TCP, Flags: "-"}, false},
		{"tcp no endpoint", mesh.TapEvent{Protocol: mesh.TCP, Flags: "UH"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := TapFailed(&tt.ev); got != tt.want {
				t.Errorf("TapFailed = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestUnknownWorkloadHasAName(t *testing.T) {
	e, err := Parse("from = unknown", TapSchema())
	if err != nil {
		t.Fatal(err)
	}
	if !e.Match(func(i int) Value { return TapValue(&mesh.TapEvent{}, i) }) {
		t.Error("an unknown caller is not found by that name")
	}
}
