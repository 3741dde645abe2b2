package jaeger

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec below stands before it
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/collector/jaeger/apiv3"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// Bounds on the gRPC server.
const (
	maxRequest = 1 << 20
	maxStreams = 64
	maxConns   = 256
	chunkSpans = 1000 // a message of api_v2
)

// Server serves Jaeger's api_v2 and api_v3 query services over gRPC. Run it
// once, or Close it.
type Server struct {
	listener net.Listener
	grpc     *grpc.Server
}

// Listen binds address.
func Listen(address string, q traces.Querier) (*Server, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for Jaeger's clients on %s: %w; choose another address with --jaeger-grpc", address, err)
	}
	s := grpc.NewServer(
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.MaxRecvMsgSize(maxRequest), grpc.MaxConcurrentStreams(maxStreams), grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 10 * time.Minute}),
	)
	api_v2.RegisterQueryServiceServer(s, &serverV2{q})
	apiv3.RegisterQueryServiceServer(s, &serverV3{q: q})
	return &Server{netutil.LimitListener(listener, maxConns), s}, nil
}

// Addr gives the bound address.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends; answers under way get a second.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve Jaeger's clients: %w", err)
	case <-ctx.Done():
	}
	force := time.AfterFunc(time.Second, s.grpc.Stop)
	defer force.Stop()
	s.grpc.GracefulStop()
	return <-served
}

// Close frees the listener of a Server that never ran.
func (s *Server) Close() error { return s.listener.Close() }

// codec reads and writes the messages of api_v2, which are of another
// generator than all others, by their own methods.
type codec struct{ other encoding.CodecV2 }

// Name implements encoding.CodecV2.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(interface{ Marshal() ([]byte, error) })
	if !ok {
		return c.other.Marshal(v)
	}
	out, err := m.Marshal()
	return mem.BufferSlice{mem.SliceBuffer(out)}, err
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(interface{ Unmarshal([]byte) error }); ok {
		return m.Unmarshal(data.Materialize())
	}
	return c.other.Unmarshal(data, v)
}

func grpcError(err error) error { return status.Error(codeOf(err), err.Error()) }

// serverV2 is jaeger.api_v2.QueryService.
type serverV2 struct{ q traces.Querier }

// GetTrace implements api_v2.QueryServiceServer.
func (s *serverV2) GetTrace(req *api_v2.GetTraceRequest, stream api_v2.QueryService_GetTraceServer) error {
	t, err := s.q.Get(stream.Context(), req.TraceID.String())
	if err != nil {
		return grpcError(err)
	}
	return sendV2(t, stream.Send)
}

// FindTraces implements api_v2.QueryServiceServer.
func (s *serverV2) FindTraces(req *api_v2.FindTracesRequest, stream api_v2.QueryService_FindTracesServer) error {
	p := req.GetQuery()
	if p == nil {
		return status.Error(codes.InvalidArgument, "missing query")
	}
	q := traces.Query{
		Service: p.ServiceName, Operation: p.OperationName, Tags: p.Tags, From: p.StartTimeMin, To: p.StartTimeMax,
		MinDuration: p.DurationMin, MaxDuration: p.DurationMax, Limit: min(int(max(0, p.SearchDepth)), traces.MaxLimit),
	}
	takeError(&q)
	for t, err := range s.q.Stream(stream.Context(), q) {
		if err != nil {
			return grpcError(err)
		}
		if err := sendV2(t, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

// GetServices implements api_v2.QueryServiceServer.
func (s *serverV2) GetServices(ctx context.Context, _ *api_v2.GetServicesRequest) (*api_v2.GetServicesResponse, error) {
	names, err := s.q.Services(ctx)
	if err != nil {
		return nil, grpcError(err)
	}
	return &api_v2.GetServicesResponse{Services: names}, nil
}

// GetOperations implements api_v2.QueryServiceServer. The store does not keep
// operations by kind, so a kind that is asked for restricts nothing.
func (s *serverV2) GetOperations(ctx context.Context, req *api_v2.GetOperationsRequest) (*api_v2.GetOperationsResponse, error) {
	names, err := s.q.Operations(ctx, req.Service)
	if err != nil {
		return nil, grpcError(err)
	}
	out := &api_v2.GetOperationsResponse{OperationNames: names}
	for _, name := range names {
		out.Operations = append(out.Operations, &api_v2.Operation{Name: name})
	}
	return out, nil
}

// GetDependencies implements api_v2.QueryServiceServer.
func (s *serverV2) GetDependencies(ctx context.Context, req *api_v2.GetDependenciesRequest) (*api_v2.GetDependenciesResponse, error) {
	links, err := dependencies(ctx, s.q, req.StartTime, req.EndTime)
	if err != nil {
		return nil, grpcError(err)
	}
	out := &api_v2.GetDependenciesResponse{}
	for _, l := range links {
		out.Dependencies = append(out.Dependencies, model.DependencyLink{Parent: l.parent, Child: l.child, CallCount: l.calls})
	}
	return out, nil
}

// ArchiveTrace implements api_v2.QueryServiceServer.
func (*serverV2) ArchiveTrace(context.Context, *api_v2.ArchiveTraceRequest) (*api_v2.ArchiveTraceResponse, error) {
	return nil, status.Error(codes.Unimplemented, "there is no archive: save the trace as JSON instead")
}

func sendV2(t traces.Trace, send func(*api_v2.SpansResponseChunk) error) error {
	processes := map[[4]string]*model.Process{}
	for begin := 0; begin < len(t.Spans); begin += chunkSpans {
		chunk := &api_v2.SpansResponseChunk{}
		for i := range t.Spans[begin:min(begin+chunkSpans, len(t.Spans))] {
			s := &t.Spans[begin+i]
			key := [4]string{s.Service, s.Workload, s.Version, s.Node}
			if processes[key] == nil {
				p := &model.Process{ServiceName: s.Service}
				for _, tag := range processTags(*s) {
					p.Tags = append(p.Tags, model.String(tag[0], tag[1]))
				}
				processes[key] = p
			}
			chunk.Spans = append(chunk.Spans, spanV2(t, s, processes[key]))
		}
		if err := send(chunk); err != nil {
			return err
		}
	}
	return nil
}

func spanV2(t traces.Trace, s *traces.Span, process *model.Process) model.Span {
	id := idOf(t.TraceID, 16)
	out := model.Span{
		TraceID:       model.NewTraceID(binary.BigEndian.Uint64(id), binary.BigEndian.Uint64(id[8:])),
		SpanID:        model.NewSpanID(binary.BigEndian.Uint64(idOf(s.SpanID, 8))),
		OperationName: s.Operation, Process: process,
		StartTime: t.Start.Add(time.Duration(s.StartUS) * time.Microsecond), Duration: time.Duration(s.DurationUS) * time.Microsecond,
	}
	if s.ParentID != "" {
		out.References = []model.SpanRef{model.NewChildOfRef(out.TraceID, model.NewSpanID(binary.BigEndian.Uint64(idOf(s.ParentID, 8))))}
	}
	out.Tags = tagsV2(s.Attributes)
	if s.Kind != "internal" {
		out.Tags = append(out.Tags, model.String(model.SpanKindKey, s.Kind))
	}
	if s.Status == "error" {
		out.Tags = append(out.Tags, model.Bool("error", true), model.String("otel.status_description", s.Message))
	}
	for _, e := range s.Events {
		out.Logs = append(out.Logs, model.Log{
			Timestamp: t.Start.Add(time.Duration(e.AtUS) * time.Microsecond),
			Fields:    append([]model.KeyValue{model.String("event", e.Name)}, tagsV2(e.Attributes)...),
		})
	}
	return out
}

func tagsV2(attributes []traces.Attribute) []model.KeyValue {
	tags := make([]model.KeyValue, 0, len(attributes)+3)
	for _, a := range attributes {
		if n, ok := integer(a); ok {
			tags = append(tags, model.Int64(a.Key, n))
		} else {
			tags = append(tags, model.String(a.Key, a.Value))
		}
	}
	return tags
}

// serverV3 is jaeger.api_v3.QueryService.
type serverV3 struct {
	apiv3.UnimplementedQueryServiceServer
	q traces.Querier
}

// GetTrace implements apiv3.QueryServiceServer.
func (s *serverV3) GetTrace(req *apiv3.GetTraceRequest, stream grpc.ServerStreamingServer[apiv3.TracesData]) error {
	t, err := s.q.Get(stream.Context(), req.TraceId)
	if err != nil {
		return grpcError(err)
	}
	return sendV3(t, stream.Send)
}

// FindTraces implements apiv3.QueryServiceServer.
func (s *serverV3) FindTraces(req *apiv3.FindTracesRequest, stream grpc.ServerStreamingServer[apiv3.TracesData]) error {
	p := req.GetQuery()
	if p == nil {
		return status.Error(codes.InvalidArgument, "missing query")
	}
	q := traces.Query{
		Service: p.ServiceName, Operation: p.OperationName, Tags: p.Attributes,
		MinDuration: p.DurationMin.AsDuration(), MaxDuration: p.DurationMax.AsDuration(), Limit: min(int(max(0, p.SearchDepth)), traces.MaxLimit),
	}
	if p.StartTimeMin != nil {
		q.From = p.StartTimeMin.AsTime()
	}
	if p.StartTimeMax != nil {
		q.To = p.StartTimeMax.AsTime()
	}
	takeError(&q)
	for t, err := range s.q.Stream(stream.Context(), q) {
		if err != nil {
			return grpcError(err)
		}
		if err := sendV3(t, stream.Send); err != nil {
			return err
		}
	}
	return nil
}

// sendV3 sends a trace as OTLP.
func sendV3(t traces.Trace, send func(*apiv3.TracesData) error) error {
	td := ptrace.NewTraces()
	appendOTLP(td, t)
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return grpcError(fmt.Errorf("encode trace: %w", err))
	}
	var data apiv3.TracesData
	if err := proto.Unmarshal(raw, &data); err != nil {
		return grpcError(fmt.Errorf("encode trace: %w", err))
	}
	return send(&data)
}

// GetServices implements apiv3.QueryServiceServer.
func (s *serverV3) GetServices(ctx context.Context, _ *apiv3.GetServicesRequest) (*apiv3.GetServicesResponse, error) {
	names, err := s.q.Services(ctx)
	if err != nil {
		return nil, grpcError(err)
	}
	return &apiv3.GetServicesResponse{Services: names}, nil
}

// GetOperations implements apiv3.QueryServiceServer; a kind restricts nothing.
func (s *serverV3) GetOperations(ctx context.Context, req *apiv3.GetOperationsRequest) (*apiv3.GetOperationsResponse, error) {
	names, err := s.q.Operations(ctx, req.Service)
	if err != nil {
		return nil, grpcError(err)
	}
	out := &apiv3.GetOperationsResponse{}
	for _, name := range names {
		out.Operations = append(out.Operations, &apiv3.Operation{Name: name})
	}
	return out, nil
}

// GetDependencies implements apiv3.QueryServiceServer.
func (s *serverV3) GetDependencies(ctx context.Context, req *apiv3.GetDependenciesRequest) (*apiv3.DependenciesResponse, error) {
	links, err := dependencies(ctx, s.q, req.StartTime.AsTime(), req.EndTime.AsTime())
	if err != nil {
		return nil, grpcError(err)
	}
	out := &apiv3.DependenciesResponse{}
	for _, l := range links {
		out.Dependencies = append(out.Dependencies, &apiv3.Dependency{Parent: l.parent, Child: l.child, CallCount: l.calls})
	}
	return out, nil
}
