package receive

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// grpcService is OTLP's TraceService.
type grpcService struct {
	ptraceotlp.UnimplementedGRPCServer
	receiver *Receiver
}

// Export implements ptraceotlp.GRPCServer.
func (g *grpcService) Export(ctx context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	if err := g.receiver.take(ctx, "otlp_grpc", req.Traces()); err != nil {
		return ptraceotlp.NewExportResponse(), grpcStatus(err)
	}
	return ptraceotlp.NewExportResponse(), nil
}

// retryAfter is what OTLP senders are asked to wait when the store is busy.
const retryAfter = time.Second

// grpcStatus maps a refusal to what OTLP senders act on: ResourceExhausted with
// a RetryInfo means "again, later"; without one they drop the spans.
func grpcStatus(err error) error {
	switch {
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
