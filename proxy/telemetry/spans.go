package telemetry

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Spans makes spans of sampled exchanges, and of failed ones although they were
// not sampled (ADR 38). It is an Observer.
//
// Spans are made whole when an exchange has ended, because only then is it
// known whether its tries deserve spans of their own. Their identifiers were
// drawn when the request came, and went upstream with it.
type Spans struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	queue    *spanQueue
	errors   bool
}

// SpanOptions say whose spans these are and where they go.
type SpanOptions struct {
	Workload mesh.Workload
	NodeID   string
	Exporter sdktrace.SpanExporter
	Metrics  *Metrics
	Errors   bool // failed exchanges have spans, sampled or not
	Logger   *slog.Logger
}

// NewSpans starts the export; Shutdown ends it.
func NewSpans(o SpanOptions) *Spans {
	queue := newSpanQueue(o.Exporter, o.Metrics.spansDropped, o.Logger)
	res := resource.NewSchemaless(
		attribute.String("service.name", o.Workload.App),
		attribute.String("service.namespace", o.Workload.Namespace),
		attribute.String("service.version", o.Workload.Version),
		attribute.String("sidelight.workload", o.Workload.Namespace+"/"+o.Workload.Name),
		attribute.String("sidelight.node", o.NodeID),
	)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), // the engine has decided
		sdktrace.WithIDGenerator(drawn{}),
		sdktrace.WithSpanProcessor(queue),
	)
	return &Spans{provider: provider, tracer: provider.Tracer("sidelight-proxy"), queue: queue, errors: o.Errors}
}

// Shutdown sends what is queued, until ctx ends.
func (s *Spans) Shutdown(ctx context.Context) error { return s.provider.Shutdown(ctx) }

// Active is always true; whether an exchange has a span is the trace's to say.
func (s *Spans) Active() bool { return true }

// Done makes the spans of an exchange.
func (s *Spans) Done(x *forward.Exchange) {
	if x.Trace.Span.IsZero() || x.Protocol == mesh.TCP || x.Mirror && !x.Trace.Sampled {
		return
	}
	if !x.Trace.Sampled && (!s.errors || !x.Failed()) {
		return
	}
	kind := trace.SpanKindClient
	if x.Direction == listen.Inbound {
		kind = trace.SpanKindServer
	}
	ctx := context.Background()
	if !x.Trace.Parent.IsZero() {
		state, _ := trace.ParseTraceState(x.Trace.State) // a broken one is not continued
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID(x.Trace.ID), SpanID: trace.SpanID(x.Trace.Parent),
			TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true,
		}))
	}
	ctx, span := s.tracer.Start(withIDs(ctx, x.Trace.ID, x.Trace.Span), name(x),
		trace.WithSpanKind(kind), trace.WithTimestamp(x.Begin), trace.WithAttributes(attributes(x)...))
	if len(x.Attempts) > 1 {
		for i := range x.Attempts {
			s.attempt(ctx, x, i)
		}
	}
	if !x.Trace.Sampled {
		span.SetAttributes(attribute.String("sidelight.sampled_by", "error"))
	}
	if x.Failed() {
		span.SetStatus(codes.Error, failure(x))
	}
	span.End(trace.WithTimestamp(x.Begin.Add(x.Duration)))
}

func (s *Spans) attempt(ctx context.Context, x *forward.Exchange, i int) {
	a := &x.Attempts[i]
	_, span := s.tracer.Start(withIDs(ctx, x.Trace.ID, a.SpanID), "attempt "+strconv.Itoa(i+1),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(x.Begin.Add(a.Start)),
		trace.WithAttributes(
			attribute.String("server.address", a.Endpoint),
			attribute.String("sidelight.destination", peerName(a.Workload)),
			attribute.Int("http.response.status_code", a.Status),
			attribute.String("sidelight.flags", a.Flags.String()),
		))
	if a.GRPC != "" {
		span.SetAttributes(grpcStatus(a.GRPC))
	}
	if a.Failed(x.Protocol) {
		span.SetStatus(codes.Error, a.Reason)
	}
	span.End(trace.WithTimestamp(x.Begin.Add(a.Start + a.Duration)))
}

// name is the operation: never with identifiers from the path, so that it can
// be listed.
func name(x *forward.Exchange) string {
	if x.Protocol == mesh.GRPC {
		path, _, _ := strings.Cut(x.Path, "?")
		return strings.TrimPrefix(path, "/")
	}
	if x.RouteName != "" && x.RouteName != "default" {
		return x.Method + " " + x.RouteName
	}
	if x.Direction == listen.Outbound && x.Service.Name != "" {
		return x.Method + " " + x.Service.Name
	}
	return x.Method
}

func attributes(x *forward.Exchange) []attribute.KeyValue {
	reporter := mesh.FromSource
	if x.Direction == listen.Inbound {
		reporter = mesh.FromDestination
	}
	path, query, _ := strings.Cut(x.Path, "?")
	_ = query // may hold secrets
	list := make([]attribute.KeyValue, 0, 18)
	list = append(list,
		attribute.String("sidelight.reporter", string(reporter)),
		attribute.String("sidelight.source", peerName(x.Source.Workload)),
		attribute.String("sidelight.destination", peerName(x.Destination.Workload)),
		attribute.String("sidelight.service", x.Service.Host),
		attribute.String("http.request.method", x.Method),
		attribute.String("url.path", path),
		attribute.Int("http.response.status_code", x.Status),
		attribute.String("http.route", x.RouteName),
		attribute.String("sidelight.flags", x.Flags.String()),
		attribute.String("sidelight.answered_by", x.AnsweredBy()),
		attribute.String("sidelight.details", x.Details),
		attribute.Int("sidelight.attempts", len(x.Attempts)),
		attribute.Int64("sidelight.revision", int64(x.Revision)),
	)
	if x.Object != "" {
		list = append(list, attribute.String("sidelight.object", x.Object))
	}
	if x.TLS == "mutual_tls" {
		list = append(list, attribute.String("sidelight.source.principal", x.Source.Principal),
			attribute.String("sidelight.destination.principal", x.Destination.Principal))
	}
	if x.GRPCStatus != "" {
		list = append(list, grpcStatus(x.GRPCStatus))
	}
	if n := len(x.Attempts); n > 0 {
		list = append(list, attribute.String("server.address", x.Attempts[n-1].Endpoint))
	}
	return list
}

func grpcStatus(status string) attribute.KeyValue {
	if n, err := strconv.Atoi(status); err == nil {
		return attribute.Int("rpc.grpc.status_code", n)
	}
	return attribute.String("rpc.grpc.status_code", status)
}

func peerName(w mesh.Workload) string {
	if w.IsUnknown() {
		return mesh.Unknown
	}
	return w.Namespace + "/" + w.Name
}

// failure says in a few words why an exchange failed.
func failure(x *forward.Exchange) string {
	if n := len(x.Attempts); n > 0 && x.Attempts[n-1].Reason != "" {
		return x.Attempts[n-1].Reason
	}
	if x.AnsweredBy() == mesh.AnsweredByProxy {
		return x.Details
	}
	if x.GRPCStatus != "" {
		return "gRPC status " + x.GRPCStatus
	}
	return "HTTP " + strconv.Itoa(x.Status)
}

// drawn is an IDGenerator that takes the identifiers from the context, where
// Done put those that went upstream.
type drawn struct{}

type idsKey struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func withIDs(ctx context.Context, t forward.TraceID, s forward.SpanID) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{trace.TraceID(t), trace.SpanID(s)})
}

// NewIDs gives the identifiers of a root span.
func (drawn) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	v, _ := ctx.Value(idsKey{}).(ids)
	return v.trace, v.span
}

// NewSpanID gives the identifier of a span with a parent.
func (drawn) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	v, _ := ctx.Value(idsKey{}).(ids)
	return v.span
}
