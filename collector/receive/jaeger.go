package receive

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// jaegerService is Jaeger's CollectorService, which its agents and older
// clients send to.
type jaegerService struct{ receiver *Receiver }

// PostSpans implements api_v2.CollectorServiceServer. Jaeger's clients try
// again on Unavailable and ResourceExhausted.
func (j *jaegerService) PostSpans(ctx context.Context, req *api_v2.PostSpansRequest) (*api_v2.PostSpansResponse, error) {
	if _, err := j.receiver.take(ctx, "jaeger_grpc", tracesOfJaeger(&req.Batch)); err != nil {
		return nil, grpcStatus(err)
	}
	return &api_v2.PostSpansResponse{}, nil
}

// tracesOfJaeger gives a batch in OTLP's form. A span's own process goes
// before the batch's; spans of one process share a resource.
func tracesOfJaeger(batch *model.Batch) ptrace.Traces {
	td := ptrace.NewTraces()
	byProcess := map[*model.Process]ptrace.SpanSlice{}
	for _, s := range batch.Spans {
		if s == nil {
			continue
		}
		process := s.Process
		if process == nil {
			process = batch.Process
		}
		to, ok := byProcess[process]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			if process != nil {
				putTags(rs.Resource().Attributes(), process.Tags)
				if process.ServiceName != "" {
					rs.Resource().Attributes().PutStr("service.name", process.ServiceName)
				}
			}
			to = rs.ScopeSpans().AppendEmpty().Spans()
			byProcess[process] = to
		}
		writeJaeger(s, to.AppendEmpty())
	}
	return td
}

func writeJaeger(s *model.Span, to ptrace.Span) {
	to.SetTraceID(jaegerTraceID(s.TraceID))
	to.SetSpanID(jaegerSpanID(s.SpanID))
	to.SetName(s.OperationName)
	to.SetStartTimestamp(stamp(s.StartTime))
	if start := stamp(s.StartTime); start != 0 {
		to.SetEndTimestamp(stamp(s.StartTime.Add(max(0, s.Duration))))
	}
	for _, ref := range s.References {
		if ref.TraceID == s.TraceID && to.ParentSpanID().IsEmpty() && ref.SpanID != s.SpanID {
			to.SetParentSpanID(jaegerSpanID(ref.SpanID))
			continue
		}
		link := to.Links().AppendEmpty()
		link.SetTraceID(jaegerTraceID(ref.TraceID))
		link.SetSpanID(jaegerSpanID(ref.SpanID))
	}
	for i := range s.Tags {
		tag := &s.Tags[i]
		switch {
		case tag.Key == "span.kind":
			to.SetKind(jaegerKinds[tag.VStr])
		case tag.Key == "error" && (tag.VBool || tag.VStr == "true"):
			to.Status().SetCode(ptrace.StatusCodeError)
		case tag.Key == "otel.status_code" && tag.VStr == "ERROR":
			to.Status().SetCode(ptrace.StatusCodeError)
		case tag.Key == "otel.status_code" && tag.VStr == "OK":
			to.Status().SetCode(ptrace.StatusCodeOk)
		case tag.Key == "otel.status_description":
			to.Status().SetMessage(tag.VStr)
		default:
			putTags(to.Attributes(), s.Tags[i:i+1])
		}
	}
	for _, l := range s.Logs {
		e := to.Events().AppendEmpty()
		e.SetTimestamp(stamp(l.Timestamp))
		for i := range l.Fields {
			if f := &l.Fields[i]; f.Key == "event" && f.VType == model.StringType {
				e.SetName(f.VStr)
			} else {
				putTags(e.Attributes(), l.Fields[i:i+1])
			}
		}
	}
}

var jaegerKinds = map[string]ptrace.SpanKind{
	"client": ptrace.SpanKindClient, "server": ptrace.SpanKindServer,
	"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer, "internal": ptrace.SpanKindInternal,
}

func putTags(to pcommon.Map, tags []model.KeyValue) {
	for i := range tags {
		switch t := &tags[i]; t.VType {
		case model.BoolType:
			to.PutBool(t.Key, t.VBool)
		case model.Int64Type:
			to.PutInt(t.Key, t.VInt64)
		case model.Float64Type:
			to.PutDouble(t.Key, t.VFloat64)
		case model.BinaryType:
			to.PutEmptyBytes(t.Key).FromRaw(t.VBinary)
		default:
			to.PutStr(t.Key, t.VStr)
		}
	}
}

func jaegerTraceID(id model.TraceID) (out pcommon.TraceID) {
	binary.BigEndian.PutUint64(out[:8], id.High)
	binary.BigEndian.PutUint64(out[8:], id.Low)
	return out
}

func jaegerSpanID(id model.SpanID) (out pcommon.SpanID) {
	binary.BigEndian.PutUint64(out[:], uint64(id))
	return out
}

// stamp gives a time in nanoseconds; 0 for one that is missing or has none.
func stamp(t time.Time) pcommon.Timestamp {
	if t.Unix() <= 0 || t.Unix() >= math.MaxInt64/int64(time.Second) {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}
