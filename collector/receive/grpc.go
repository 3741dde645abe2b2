package receive

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// traceService is OTLP's TraceService. It takes requests as they came, which
// the generated one would decode first.
var traceService = grpc.ServiceDesc{
	ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(r any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var request exportRequest
		if err := decode(&request); err != nil {
			return nil, err
		}
		return r.(*Receiver).exportGRPC(ctx, request)
	}}},
	Metadata: "opentelemetry/proto/collector/trace/v1/trace_service.proto",
}

// exportRequest is an encoded ExportTraceServiceRequest.
type exportRequest []byte

func (r *Receiver) exportGRPC(ctx context.Context, request exportRequest) (ptraceotlp.ExportResponse, error) {
	lost, err := r.takeOTLP(ctx, "otlp_grpc", request)
	if err != nil {
		return ptraceotlp.NewExportResponse(), grpcStatus(err)
	}
	return lost.answer(), nil
}

// answer tells a sender of OTLP which part of its spans was not taken.
func (l losses) answer() ptraceotlp.ExportResponse {
	out := ptraceotlp.NewExportResponse()
	if l.rejected > 0 {
		out.PartialSuccess().SetRejectedSpans(int64(l.rejected))
		out.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d spans without a trace ID or a span ID", l.rejected))
	}
	return out
}

// retryAfter is what OTLP senders are asked to wait when the store is busy.
const retryAfter = time.Second

// grpcStatus maps a refusal to what OTLP senders act on: ResourceExhausted with
// a RetryInfo means "again, later"; without one they drop the spans.
func grpcStatus(err error) error {
	switch {
	case errors.As(err, new(badMessage)):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, mesh.ErrExhausted):
		st, detailErr := status.New(codes.ResourceExhausted, err.Error()).
			WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
		if detailErr != nil {
			return status.Error(codes.Unavailable, err.Error())
		}
		return st.Err()
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
