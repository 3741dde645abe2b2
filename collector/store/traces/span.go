package traces

import (
	"encoding/hex"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Attributes by which spans are indexed and shown. The sidecar sets those of
// its own name; the others are OpenTelemetry's.
const (
	attrService     = "service.name"
	attrNamespace   = "service.namespace"
	attrWorkload    = "sidelight.workload"
	attrSource      = "sidelight.source"
	attrDestination = "sidelight.destination"
	attrRoute       = "http.route"
	attrStatus      = "http.response.status_code"
	attrStatusOld   = "http.status_code"
)

// facts are what the indexes know of one span.
type facts struct {
	service, operation, workload string
	source, target, route        string
	status                       int
	failed                       bool
}

func factsOf(resource pcommon.Map, span ptrace.Span) facts {
	f := facts{
		service:   text(resource, attrService),
		operation: span.Name(),
		workload:  workloadOf(resource),
		source:    text(span.Attributes(), attrSource),
		target:    text(span.Attributes(), attrDestination),
		route:     text(span.Attributes(), attrRoute),
		failed:    span.Status().Code() == ptrace.StatusCodeError,
	}
	if f.service == "" {
		f.service = "unknown_service"
	}
	status := text(span.Attributes(), attrStatus)
	if status == "" {
		status = text(span.Attributes(), attrStatusOld)
	}
	if n, err := strconv.Atoi(status); err == nil && n >= 100 && n <= 599 {
		f.status = n
	}
	return f
}

// workloadOf names the workload a span came from; spans of applications that
// say no more than their service and namespace are named by these.
func workloadOf(resource pcommon.Map) string {
	if w := text(resource, attrWorkload); w != "" {
		return w
	}
	if ns := text(resource, attrNamespace); ns != "" {
		return ns + "/" + text(resource, attrService)
	}
	return ""
}

func text(attrs pcommon.Map, key string) string {
	v, ok := attrs.Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}

// entries lists the index values of a span.
func (f facts) entries(yield func(index, string)) {
	yield(byAll, "")
	yield(byService, f.service)
	yield(byOperation, f.service+"\x00"+f.operation)
	if f.workload != "" {
		yield(byWorkload, f.workload)
	}
	if f.source != "" {
		yield(bySource, f.source)
	}
	if f.target != "" {
		yield(byTarget, f.target)
	}
	if f.source != "" && f.target != "" {
		yield(byEdge, f.source+"\x00"+f.target)
	}
	if f.route != "" {
		yield(byRoute, f.route)
	}
	if f.status != 0 {
		yield(byStatus, strconv.Itoa(f.status))
		yield(byStatus, statusClass(f.status))
	}
	if f.failed {
		yield(byError, "")
	}
}

func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }

// each calls visit for every span with its resource and scope.
func each(td ptrace.Traces, visit func(resource pcommon.Map, span ptrace.Span)) {
	for _, rs := range td.ResourceSpans().All() {
		attrs := rs.Resource().Attributes()
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				visit(attrs, span)
			}
		}
	}
}

// spanOf gives a span in the API's shape; begin is the trace's start.
func spanOf(resource pcommon.Map, span ptrace.Span, begin time.Time) Span {
	f := factsOf(resource, span)
	out := Span{
		SpanID: span.SpanID().String(), ParentID: span.ParentSpanID().String(),
		Service: f.service, Workload: f.workload, Operation: span.Name(), Kind: kindName(span.Kind()),
		StartUS: span.StartTimestamp().AsTime().Sub(begin).Microseconds(), DurationUS: durationOf(span).Microseconds(),
		Status: statusName(span.Status().Code()), Message: span.Status().Message(),
		Attributes: attributesOf(span.Attributes()), Events: []Event{},
	}
	for _, e := range span.Events().All() {
		out.Events = append(out.Events, Event{
			AtUS: e.Timestamp().AsTime().Sub(begin).Microseconds(), Name: e.Name(), Attributes: attributesOf(e.Attributes()),
		})
	}
	return out
}

func durationOf(span ptrace.Span) time.Duration {
	return max(0, span.EndTimestamp().AsTime().Sub(span.StartTimestamp().AsTime()))
}

func attributesOf(m pcommon.Map) []Attribute {
	out := make([]Attribute, 0, m.Len())
	for k, v := range m.All() {
		out = append(out, Attribute{Key: k, Value: v.AsString()})
	}
	return out
}

func kindName(k ptrace.SpanKind) string {
	switch k {
	case ptrace.SpanKindServer:
		return "server"
	case ptrace.SpanKindClient:
		return "client"
	case ptrace.SpanKindProducer:
		return "producer"
	case ptrace.SpanKindConsumer:
		return "consumer"
	}
	return "internal"
}

func statusName(c ptrace.StatusCode) string {
	switch c {
	case ptrace.StatusCodeOk:
		return "ok"
	case ptrace.StatusCodeError:
		return "error"
	}
	return "unset"
}

// parseTraceID reads 1 to 32 hex digits; missing leading ones are zeros, as
// Jaeger writes them.
func parseTraceID(s string) (traceID, bool) {
	var id traceID
	if len(s) == 0 || len(s) > 32 {
		return id, false
	}
	padded := make([]byte, 32)
	for i := range padded {
		padded[i] = '0'
	}
	copy(padded[32-len(s):], s)
	_, err := hex.Decode(id[:], padded)
	return id, err == nil
}
