package xds

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// heard collects events; wanted says whether anybody looks.
type heard struct {
	wanted bool
	events chan *mesh.TapEvent
}

func (h *heard) Wanted() bool              { return h.wanted }
func (h *heard) Observe(ev *mesh.TapEvent) { h.events <- ev }

// alsNode is a node as Istio's proxies describe themselves.
const alsNode = `{
  "id": "sidecar~10.244.0.7~web-58c7b-q4m8s.front~front.svc.cluster.local", "cluster": "web.front",
  "metadata": {"WORKLOAD_NAME": "web", "NAMESPACE": "front", "CLUSTER_ID": "Kubernetes",
    "LABELS": {"app": "web", "version": "v2", "service.istio.io/canonical-name": "web"}}
}`

// alsOutbound is an entry as Envoy sends it: a retried request that failed.
const alsOutbound = `{"logEntry": [{
  "commonProperties": {
    "downstreamRemoteAddress": {"socketAddress": {"address": "10.244.0.7", "portValue": 40122}},
    "startTime": "2026-01-02T03:04:05.678Z",
    "timeToLastRxByte": "0.000120s", "timeToFirstUpstreamTxByte": "0.001s", "timeToLastUpstreamTxByte": "0.0011s",
    "timeToFirstUpstreamRxByte": "0.041s", "timeToLastUpstreamRxByte": "0.043s",
    "timeToFirstDownstreamTxByte": "0.042s", "timeToLastDownstreamTxByte": "0.044s", "duration": "0.044s",
    "upstreamRemoteAddress": {"socketAddress": {"address": "10.244.0.9", "portValue": 8080}},
    "upstreamCluster": "outbound|8080|v1|payments.booking.svc.cluster.local",
    "responseFlags": {"upstreamRetryLimitExceeded": true, "upstreamConnectionFailure": true},
    "upstreamTransportFailureReason": "delayed connect error: 111", "routeName": "charges", "upstreamRequestAttemptCount": 3
  },
  "protocolVersion": "HTTP11",
  "request": {"requestMethod": "POST", "scheme": "http", "authority": "payments:8080", "path": "/v1/charges?card=4711", "requestBodyBytes": "12",
    "requestHeaders": {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "authorization": "Bearer x", ":method": "POST"}},
  "response": {"responseCode": 503, "responseBodyBytes": "91", "responseCodeDetails": "upstream_reset_before_response_started{connection_failure}"}
}]}`

const alsInbound = `{"logEntry": [{
  "commonProperties": {
    "startTime": "2026-01-02T03:04:05Z", "duration": "0.002s", "upstreamCluster": "inbound|9090||",
    "upstreamRemoteAddress": {"socketAddress": {"address": "127.0.0.1", "portValue": 9090}},
    "tlsProperties": {"peerCertificateProperties": {"subjectAltName": [{"uri": "spiffe://cluster.local/ns/booking/sa/tickets"}]}}
  },
  "request": {"requestMethod": "POST", "path": "/cinema.Seats/Hold", "requestHeaders": {"content-type": "application/grpc"}},
  "response": {"responseCode": 200, "responseTrailers": {"grpc-status": "14"}, "responseCodeDetails": "via_upstream"}
}, {"commonProperties": {"intermediateLogEntry": true}}]}`

const alsTCP = `{"logEntry": [{
  "commonProperties": {"startTime": "2026-01-02T03:04:05Z", "duration": "1.5s", "upstreamCluster": "outbound|5222||notifications.booking.svc.cluster.local",
    "upstreamRemoteAddress": {"socketAddress": {"address": "10.244.0.11", "portValue": 5222}}},
  "connectionProperties": {"receivedBytes": "100", "sentBytes": "200"}
}]}`

func TestAccessLog(t *testing.T) {
	to := &heard{wanted: true, events: make(chan *mesh.TapEvent, 10)}
	s := &Server{opts: Options{AccessLog: to}, metrics: newMetrics(nil, nil)}
	stream := alsStream(t, s)
	for i, logs := range []string{alsOutbound, alsInbound, alsTCP} {
		m := &alsv3.StreamAccessLogsMessage{}
		if i == 0 {
			m.Identifier = &alsv3.StreamAccessLogsMessage_Identifier{Node: &corev3.Node{}}
			parseJSON(t, alsNode, m.Identifier.Node)
		}
		if i < 2 {
			http := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}
			parseJSON(t, logs, http)
			m.LogEntries = &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: http}
		} else {
			tcp := &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{}
			parseJSON(t, logs, tcp)
			m.LogEntries = &alsv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: tcp}
		}
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	close(to.events)
	web := mesh.Workload{Cluster: "Kubernetes", Namespace: "front", Name: "web", App: "web", Version: "v2"}
	unknown := mesh.Workload{Namespace: "unknown", Name: "unknown"}
	earlier := mesh.Attempt{Flags: "-", Reason: "an earlier try: Envoy tells of the last one only"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := []*mesh.TapEvent{
		{
			At: at.Add(678 * time.Millisecond), Node: "web-58c7b-q4m8s.front", Direction: "outbound", Source: web, Destination: unknown,
			Service:  mesh.Service{Host: "payments.booking.svc.cluster.local", Namespace: "booking", Name: "payments"},
			Protocol: mesh.HTTP, Method: "POST", Authority: "payments:8080", Path: "/v1/charges?card=de650d61", Status: 503,
			Flags: "UF,URX", AnsweredBy: "proxy", Details: "upstream_reset_before_response_started{connection_failure}", Route: "charges",
			Cluster:    "outbound|8080|v1|payments.booking.svc.cluster.local",
			Attempts:   []mesh.Attempt{earlier, earlier, {Endpoint: "10.244.0.9:8080", StartMS: 1, DurationMS: 42, Flags: "UF,URX", Reason: "delayed connect error: 111"}},
			DurationMS: 44, FirstByteMS: 42, ProxyMS: 2, RequestBytes: 12, ResponseBytes: 91, TLS: "none",
			TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7",
			RequestHeaders: []mesh.Header{{Name: "authorization", Redacted: true, Bytes: 8}, {Name: "traceparent", Value: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}},
		},
		{
			At: at, Node: "web-58c7b-q4m8s.front", Direction: "inbound", Destination: web,
			Source: mesh.Workload{Namespace: "booking", Name: "tickets", App: "tickets"}, Protocol: mesh.GRPC, Method: "POST", Path: "/cinema.Seats/Hold",
			Status: 200, GRPCStatus: "14", Flags: "-", AnsweredBy: "upstream", Details: "via_upstream", Cluster: "inbound|9090||",
			Attempts: []mesh.Attempt{{Endpoint: "127.0.0.1:9090", Flags: "-"}}, DurationMS: 2, TLS: "mutual_tls", SourcePrincipal: "spiffe://cluster.local/ns/booking/sa/tickets",
			RequestHeaders: []mesh.Header{{Name: "content-type", Value: "application/grpc"}},
		},
		{
			At: at, Node: "web-58c7b-q4m8s.front", Direction: "outbound", Source: web, Destination: unknown,
			Service:  mesh.Service{Host: "notifications.booking.svc.cluster.local", Namespace: "booking", Name: "notifications"},
			Protocol: mesh.TCP, Flags: "-", AnsweredBy: "upstream", Cluster: "outbound|5222||notifications.booking.svc.cluster.local",
			Attempts: []mesh.Attempt{{Endpoint: "10.244.0.11:5222", Flags: "-"}}, DurationMS: 1500, RequestBytes: 100, ResponseBytes: 200, TLS: "none",
		},
	}
	var got []*mesh.TapEvent
	for ev := range to.events {
		got = append(got, ev)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Whatever an Envoy, or who says so, sends becomes events of bounded size.
func FuzzAccessLog(f *testing.F) {
	for i, logs := range []string{alsOutbound, alsInbound, alsTCP} {
		m := &alsv3.StreamAccessLogsMessage{Identifier: &alsv3.StreamAccessLogsMessage_Identifier{Node: &corev3.Node{}}}
		parseJSON(f, alsNode, m.Identifier.Node)
		http, tcp := &alsv3.StreamAccessLogsMessage_HTTPAccessLogEntries{}, &alsv3.StreamAccessLogsMessage_TCPAccessLogEntries{}
		m.LogEntries = &alsv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: http}
		if i == 2 {
			m.LogEntries = &alsv3.StreamAccessLogsMessage_TcpLogs{TcpLogs: tcp}
			parseJSON(f, logs, tcp)
		} else {
			parseJSON(f, logs, http)
		}
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m alsv3.StreamAccessLogsMessage
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		from := reporterOf(m.GetIdentifier().GetNode())
		var events []*mesh.TapEvent
		for _, e := range m.GetHttpLogs().GetLogEntry() {
			events = append(events, from.http(e))
		}
		for _, e := range m.GetTcpLogs().GetLogEntry() {
			events = append(events, from.tcp(e))
		}
		for _, ev := range events {
			text, err := json.Marshal(ev)
			if err != nil || len(text) > 1<<20 {
				t.Errorf("an event of %d bytes: %v", len(text), err)
			}
			if _, err := proto.Marshal(meshv1.FromTapEvent(*ev)); err != nil {
				t.Errorf("an event that cannot be sent: %v", err)
			}
		}
	})
}

func TestAccessLogRefusals(t *testing.T) {
	to := &heard{events: make(chan *mesh.TapEvent, 1)}
	nameless := alsStream(t, &Server{opts: Options{AccessLog: to}, metrics: newMetrics(nil, nil)})
	if err := nameless.Send(&alsv3.StreamAccessLogsMessage{}); err != nil {
		t.Fatal(err)
	}
	if _, err := nameless.CloseAndRecv(); status.Code(err) != codes.InvalidArgument {
		t.Errorf("without a node: %v", err)
	}
	closed := alsStream(t, &Server{metrics: newMetrics(nil, nil)})
	if _, err := closed.CloseAndRecv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("without a listener: %v", err)
	}
}

// alsStream opens a stream to s as an Envoy does.
func alsStream(t *testing.T, s *Server) alsv3.AccessLogService_StreamAccessLogsClient {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(ServerOptions()...)
	alsv3.RegisterAccessLogServiceServer(g, accessLog{server: s})
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
		<-served
	})
	stream, err := alsv3.NewAccessLogServiceClient(conn).StreamAccessLogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func parseJSON(t testing.TB, text string, into proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}
