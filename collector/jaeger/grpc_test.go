package jaeger_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/jaeger/apiv3"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/store/traces/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) *traces.Store {
	t.Helper()
	s, err := traces.Open(traces.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// serve runs the gRPC server over q and gives its address.
func serve(t *testing.T, q traces.Querier) string {
	t.Helper()
	s, err := jaeger.Listen("127.0.0.1:0", q)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return s.Addr()
}

func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// fill stores a call from web to catalog that failed.
func fill(t *testing.T, s *traces.Store) (begin time.Time) {
	t.Helper()
	begin = time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	err := s.WriteSpans(t.Context(), storetest.Batch(
		storetest.Span{Trace: 1, ID: 1, Service: "web", Name: "GET /", Status: 500, Failed: true, At: begin, Took: time.Second, Kind: ptrace.SpanKindServer},
		storetest.Span{Trace: 1, ID: 2, Parent: 1, Service: "catalog", Name: "GET /films", At: begin.Add(time.Millisecond), Took: time.Millisecond, Attributes: map[string]string{"k": "v"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	return begin
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

// all reads a stream to its end.
func all[T any](t *testing.T, stream interface{ Recv() (*T, error) }, err error) []*T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got []*T
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
}

// The client is jaeger-idl's own.
func TestV2(t *testing.T) {
	store := open(t)
	begin := fill(t, store)
	c := api_v2.NewQueryServiceClient(dial(t, serve(t, store), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(gogo{}))))
	ctx := t.Context()

	id, err := model.TraceIDFromString(storetest.ID(1))
	if err != nil {
		t.Fatal(err)
	}
	query := &api_v2.TraceQueryParameters{
		ServiceName: "catalog", OperationName: "GET /films", Tags: map[string]string{"k": "v"},
		StartTimeMin: begin.Add(-time.Minute), StartTimeMax: begin.Add(time.Minute), DurationMin: 10 * time.Millisecond, DurationMax: 2 * time.Second, SearchDepth: 20,
	}
	get, err := c.GetTrace(ctx, &api_v2.GetTraceRequest{TraceID: id})
	one := all(t, get, err)
	find, err := c.FindTraces(ctx, &api_v2.FindTracesRequest{Query: query})
	for name, chunks := range map[string][]*api_v2.SpansResponseChunk{"GetTrace": one, "FindTraces": all(t, find, err)} {
		if len(chunks) != 1 || len(chunks[0].Spans) != 2 {
			t.Fatalf("%s: %+v", name, chunks)
		}
		root, child := chunks[0].Spans[0], chunks[0].Spans[1]
		if root.TraceID != id || root.OperationName != "GET /" || !root.StartTime.Equal(begin) || root.Duration != time.Second || root.Process.ServiceName != "web" {
			t.Errorf("%s: root %+v", name, root)
		}
		tags := model.KeyValues(root.Tags)
		if failed, _ := tags.FindByKey("error"); !failed.VBool {
			t.Errorf("%s: no error tag in %v", name, tags)
		}
		if code, _ := tags.FindByKey("http.response.status_code"); code.VInt64 != 500 {
			t.Errorf("%s: status code %+v", name, code)
		}
		if kind, _ := tags.FindByKey("span.kind"); kind.VStr != "server" {
			t.Errorf("%s: kind %+v", name, kind)
		}
		if child.ParentSpanID() != root.SpanID || child.Process.ServiceName != "catalog" {
			t.Errorf("%s: child %+v", name, child)
		}
	}
	services, err := c.GetServices(ctx, &api_v2.GetServicesRequest{})
	if err != nil || !cmp.Equal(services.Services, []string{"catalog", "web"}) {
		t.Errorf("services %v, %v", services, err)
	}
	operations, err := c.GetOperations(ctx, &api_v2.GetOperationsRequest{Service: "web"})
	if err != nil || len(operations.Operations) != 1 || operations.Operations[0].Name != "GET /" {
		t.Errorf("operations %v, %v", operations, err)
	}
	links, err := c.GetDependencies(ctx, &api_v2.GetDependenciesRequest{StartTime: begin.Add(-time.Minute), EndTime: begin.Add(time.Minute)})
	if err != nil || len(links.Dependencies) != 1 || links.Dependencies[0].Parent != "web" || links.Dependencies[0].Child != "catalog" || links.Dependencies[0].CallCount != 1 {
		t.Errorf("dependencies %v, %v", links, err)
	}
	missing, err := c.GetTrace(ctx, &api_v2.GetTraceRequest{TraceID: model.NewTraceID(9, 9)})
	if err == nil {
		_, err = missing.Recv()
	}
	if status.Code(err) != codes.NotFound {
		t.Errorf("a trace that is not there: %v", err)
	}
	if _, err := c.ArchiveTrace(ctx, &api_v2.ArchiveTraceRequest{TraceID: id}); status.Code(err) != codes.Unimplemented {
		t.Errorf("archive: %v", err)
	}
}

func TestV3(t *testing.T) {
	store := open(t)
	begin := fill(t, store)
	c := apiv3.NewQueryServiceClient(dial(t, serve(t, store)))
	ctx := t.Context()
	get, err := c.GetTrace(ctx, &apiv3.GetTraceRequest{TraceId: storetest.ID(1)})
	one := all(t, get, err)
	find, err := c.FindTraces(ctx, &apiv3.FindTracesRequest{Query: &apiv3.TraceQueryParameters{
		ServiceName: "web", Attributes: map[string]string{"error": "true"},
		StartTimeMin: timestamppb.New(begin.Add(-time.Minute)), StartTimeMax: timestamppb.New(begin.Add(time.Minute)), SearchDepth: 10,
	}})
	for name, chunks := range map[string][]*apiv3.TracesData{"GetTrace": one, "FindTraces": all(t, find, err)} {
		if len(chunks) != 1 {
			t.Fatalf("%s: %d chunks", name, len(chunks))
		}
		raw, err := proto.Marshal(chunks[0])
		if err != nil {
			t.Fatal(err)
		}
		checkOTLP(t, name, raw, (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces, begin)
	}
	if services, err := c.GetServices(ctx, &apiv3.GetServicesRequest{}); err != nil || !cmp.Equal(services.Services, []string{"catalog", "web"}) {
		t.Errorf("services %v, %v", services, err)
	}
	if operations, err := c.GetOperations(ctx, &apiv3.GetOperationsRequest{Service: "web"}); err != nil || len(operations.Operations) != 1 {
		t.Errorf("operations %v, %v", operations, err)
	}
	links, err := c.GetDependencies(ctx, &apiv3.GetDependenciesRequest{StartTime: timestamppb.New(begin.Add(-time.Minute)), EndTime: timestamppb.New(begin.Add(time.Minute))})
	if err != nil || len(links.Dependencies) != 1 || links.Dependencies[0].CallCount != 1 {
		t.Errorf("dependencies %v, %v", links, err)
	}
	missing, err := c.GetTrace(ctx, &apiv3.GetTraceRequest{TraceId: storetest.ID(9)})
	if err == nil {
		_, err = missing.Recv()
	}
	if status.Code(err) != codes.NotFound {
		t.Errorf("a trace that is not there: %v", err)
	}
}

func checkOTLP(t *testing.T, name string, raw []byte, unmarshal func([]byte) (ptrace.Traces, error), begin time.Time) {
	t.Helper()
	td, err := unmarshal(raw)
	if err != nil || td.SpanCount() != 2 || td.ResourceSpans().Len() != 2 {
		t.Fatalf("%s: %v, %d spans", name, err, td.SpanCount())
	}
	rs := td.ResourceSpans().At(0)
	s := rs.ScopeSpans().At(0).Spans().At(0)
	service, _ := rs.Resource().Attributes().Get("service.name")
	code, _ := s.Attributes().Get("http.response.status_code")
	if service.Str() != "web" || s.Name() != "GET /" || s.Kind() != ptrace.SpanKindServer || !s.StartTimestamp().AsTime().Equal(begin) || s.Status().Code() != ptrace.StatusCodeError || code.Int() != 500 {
		t.Errorf("%s: %s %s %s at %s, code %d", name, service.Str(), s.Kind(), s.Name(), s.StartTimestamp(), code.Int())
	}
	if child := td.ResourceSpans().At(1).ScopeSpans().At(0).Spans().At(0); child.ParentSpanID() != s.SpanID() {
		t.Errorf("%s: child of %s, want %s", name, child.ParentSpanID(), s.SpanID())
	}
}

func TestV3JSON(t *testing.T) {
	store := open(t)
	begin := fill(t, store)
	server := httptest.NewServer(jaeger.Handler(store))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	get := func(path string, want int) map[string]json.RawMessage {
		t.Helper()
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body map[string]json.RawMessage
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != want {
			t.Fatalf("GET %s: %s %v: %v, want %d", path, resp.Status, body, err, want)
		}
		return body
	}
	query := url.Values{
		"query.service_name": {"web"}, "query.start_time_min": {begin.Add(-time.Minute).Format(time.RFC3339Nano)}, "query.start_time_max": {begin.Add(time.Minute).Format(time.RFC3339Nano)},
		"query.duration_min": {"10ms"}, "query.duration_max": {"2s"}, "query.search_depth": {"20"}, "query.attributes": {`{"http.response.status_code":"500"}`},
	}
	for _, path := range []string{"/api/v3/traces/" + storetest.ID(1), "/api/v3/traces?" + query.Encode(), "/api/v3/traces?query.serviceName=catalog&query.numTraces=5"} {
		checkOTLP(t, path, get(path, 200)["result"], (&ptrace.JSONUnmarshaler{}).UnmarshalTraces, begin)
	}
	if got := string(get("/api/v3/services", 200)["services"]); got != `["catalog","web"]` {
		t.Errorf("services %s", got)
	}
	if got := string(get("/api/v3/operations?service=web", 200)["operations"]); got != `[{"name":"GET /","spanKind":""}]` {
		t.Errorf("operations %s", got)
	}
	times := url.Values{"start_time": {begin.Add(-time.Minute).Format(time.RFC3339)}, "end_time": {begin.Add(time.Minute).Format(time.RFC3339)}}
	if got := string(get("/api/v3/dependencies?"+times.Encode(), 200)["dependencies"]); got != `[{"callCount":"1","child":"catalog","parent":"web"}]` {
		t.Errorf("dependencies %s", got)
	}
	if got := string(get("/api/dependencies?endTs="+timeMS(begin.Add(time.Minute))+"&lookback=3600000", 200)["data"]); got != `[{"callCount":1,"child":"catalog","parent":"web"}]` {
		t.Errorf("dependencies %s", got)
	}
	for path, want := range map[string]int{
		"/api/v3/traces/" + storetest.ID(9): 404, "/api/v3/traces/nothex": 400, "/api/v3/traces?query.service_name=nobody": 404,
		"/api/v3/traces?query.start_time_min=yesterday": 400, "/api/v3/traces?query.duration_min=long": 400, "/api/v3/traces?query.search_depth=many": 400,
		"/api/v3/traces?query.attributes=x": 400, "/api/v3/dependencies": 400, "/api/dependencies?endTs=now": 400,
	} {
		get(path, want)
	}
}

func timeMS(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
