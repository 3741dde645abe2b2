package receive_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	zipkin "github.com/openzipkin/zipkin-go/model"
	"github.com/openzipkin/zipkin-go/proto/zipkin_proto3"
	zipkinhttp "github.com/openzipkin/zipkin-go/reporter/http"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestSDKOverHTTP(t *testing.T) {
	store := openStore(t)
	_, addr := start(t, store)
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpoint(addr), otlptracehttp.WithInsecure(), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	_, span := provider.Tracer("test").Start(t.Context(), "an operation")
	span.End()
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	trace, err := store.Get(t.Context(), span.SpanContext().TraceID().String())
	if err != nil || len(trace.Spans) != 1 || trace.Spans[0].Operation != "an operation" {
		t.Errorf("Get = %+v, %v", trace, err)
	}
}

// Zipkin's own client reports a call whose two sides share one ID, as B3 does.
func TestZipkinClient(t *testing.T) {
	for name, options := range map[string][]zipkinhttp.ReporterOption{
		"JSON":     nil,
		"protobuf": {zipkinhttp.Serializer(zipkin_proto3.SpanSerializer{})},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			_, addr := start(t, store)
			reporter := zipkinhttp.NewReporter("http://"+addr+"/api/v2/spans", options...)
			at := time.Now().Add(-time.Second).Truncate(time.Microsecond)
			context := zipkin.SpanContext{TraceID: zipkin.TraceID{High: 0xab, Low: 1}, ID: 7}
			parent := zipkin.ID(3)
			context.ParentID = &parent
			reporter.Send(zipkin.SpanModel{
				SpanContext: context, Name: "get /films", Kind: zipkin.Client, Timestamp: at, Duration: 20 * time.Millisecond,
				LocalEndpoint: &zipkin.Endpoint{ServiceName: "web"}, RemoteEndpoint: &zipkin.Endpoint{ServiceName: "catalog", IPv4: []byte{10, 0, 0, 1}},
				Tags:        map[string]string{"http.status_code": "503", "error": "no answer"},
				Annotations: []zipkin.Annotation{{Timestamp: at.Add(time.Millisecond), Value: "sent"}},
			})
			reporter.Send(zipkin.SpanModel{
				SpanContext: context, Name: "get /films", Kind: zipkin.Server, Shared: true, Timestamp: at.Add(time.Millisecond), Duration: 10 * time.Millisecond,
				LocalEndpoint: &zipkin.Endpoint{ServiceName: "catalog"},
			})
			if err := reporter.Close(); err != nil {
				t.Fatal(err)
			}
			var trace traces.Trace
			await(t, func() (err error) {
				trace, err = store.Get(t.Context(), "00000000000000ab0000000000000001")
				if err == nil && len(trace.Spans) != 2 {
					err = errors.New("not both spans")
				}
				return err
			})
			client, server := trace.Spans[0], trace.Spans[1]
			if client.Service != "web" || client.Kind != "client" || client.ParentID != "0000000000000003" || client.Status != "error" ||
				client.Message != "no answer" || client.DurationUS != 20_000 || !trace.Start.Equal(at) || len(client.Events) != 1 || client.Events[0].AtUS != 1000 {
				t.Errorf("client %+v", client)
			}
			if server.Service != "catalog" || server.Kind != "server" || server.ParentID != client.SpanID || server.SpanID == client.SpanID {
				t.Errorf("server %+v of client %s", server, client.SpanID)
			}
			if found, err := store.Search(t.Context(), traces.Query{Service: "web", Status: "503", Tags: map[string]string{"peer.service": "catalog", "network.peer.address": "10.0.0.1"}}); err != nil || len(found.Traces) != 1 {
				t.Errorf("search: %+v, %v", found, err)
			}
		})
	}
}

// gogo is the codec that Jaeger's programs register for their messages.
type gogo struct{}

func (gogo) Name() string { return "proto" }

func (gogo) Marshal(v any) (mem.BufferSlice, error) {
	out, err := v.(interface{ Marshal() ([]byte, error) }).Marshal()
	return mem.BufferSlice{mem.SliceBuffer(out)}, err
}

func (gogo) Unmarshal(data mem.BufferSlice, v any) error {
	return v.(interface{ Unmarshal([]byte) error }).Unmarshal(data.Materialize())
}

func jaegerClient(t *testing.T, addr string) api_v2.CollectorServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(gogo{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return api_v2.NewCollectorServiceClient(conn)
}

func TestJaegerClient(t *testing.T) {
	store := openStore(t)
	addr, _ := start(t, store)
	at := time.Now().Add(-time.Second).Truncate(time.Microsecond)
	id := model.NewTraceID(0xab, 2)
	other := model.NewProcess("catalog", nil)
	_, err := jaegerClient(t, addr).PostSpans(t.Context(), &api_v2.PostSpansRequest{Batch: model.Batch{
		Process: model.NewProcess("web", []model.KeyValue{model.String("service.version", "v7")}),
		Spans: []*model.Span{
			{
				TraceID: id, SpanID: 1, OperationName: "GET /", StartTime: at, Duration: 20 * time.Millisecond,
				Tags: []model.KeyValue{model.String("span.kind", "server"), model.Bool("error", true), model.Int64("http.status_code", 502), model.Float64("load", 0.5)},
				Logs: []model.Log{{Timestamp: at.Add(time.Millisecond), Fields: []model.KeyValue{model.String("event", "retry"), model.Int64("n", 2)}}},
			},
			{
				TraceID: id, SpanID: 2, OperationName: "GET /films", StartTime: at.Add(time.Millisecond), Duration: time.Millisecond, Process: other,
				References: []model.SpanRef{model.NewFollowsFromRef(model.NewTraceID(9, 9), 9), model.NewChildOfRef(id, 1)},
			},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	trace, err := store.Get(t.Context(), id.String())
	if err != nil || len(trace.Spans) != 2 {
		t.Fatalf("%+v, %v", trace, err)
	}
	root, child := trace.Spans[0], trace.Spans[1]
	if root.Service != "web" || root.Version != "v7" || root.Kind != "server" || root.Status != "error" || root.DurationUS != 20_000 ||
		len(root.Events) != 1 || root.Events[0].Name != "retry" || root.Events[0].AtUS != 1000 {
		t.Errorf("root %+v", root)
	}
	if child.Service != "catalog" || child.ParentID != root.SpanID {
		t.Errorf("child %+v", child)
	}
	if found, err := store.Search(t.Context(), traces.Query{Service: "web", Status: "502", Tags: map[string]string{"load": "0.5"}}); err != nil || len(found.Traces) != 1 {
		t.Errorf("search: %+v, %v", found, err)
	}
}

// Each protocol says "slow down" in its own words.
func TestBackPressureOfOthers(t *testing.T) {
	grpcAddr, httpAddr := start(t, refusing{mesh.ErrExhausted})
	_, err := jaegerClient(t, grpcAddr).PostSpans(t.Context(), &api_v2.PostSpansRequest{Batch: model.Batch{Spans: []*model.Span{{SpanID: 1, TraceID: model.NewTraceID(1, 1)}}}})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("Jaeger: %v, want ResourceExhausted", err)
	}
	resp, err := http.Post("http://"+httpAddr+"/api/v2/spans", "application/json", strings.NewReader(`[{"traceId":"1","id":"1"}]`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("Zipkin: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

func TestZipkinRefusals(t *testing.T) {
	_, addr := start(t, refusing{errors.New("must not be asked")})
	for _, tt := range []struct {
		kind, body string
		want       int
	}{
		{"text/plain", "[]", 415},
		{"application/json", "{", 400},
		{"application/json", `{"traceId":"1"}`, 400},
		{"application/json", "[" + strings.Repeat(`{},`, 60_000) + "{}]", 413},
		{"application/x-protobuf", "\xff\xff", 400},
	} {
		resp, err := http.Post("http://"+addr+"/api/v2/spans", tt.kind, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s of %d bytes: %s, want %d", tt.kind, len(tt.body), resp.Status, tt.want)
		}
	}
}

func await(t *testing.T, ready func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
