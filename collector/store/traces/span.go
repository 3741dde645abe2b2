package traces

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/collector/store/traces/otlpwire"
)

// Attributes by which spans are indexed and shown. The sidecar sets those of
// its own name; the others are OpenTelemetry's.
const (
	attrService     = "service.name"
	attrNamespace   = "service.namespace"
	attrVersion     = "service.version"
	attrInstance    = "service.instance.id"
	attrWorkload    = "sidelight.workload"
	attrNode        = "sidelight.node"
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

// serviceAndWorkload names where a span came from; spans of applications that
// say no more than their service and namespace have a workload by these.
func serviceAndWorkload(service, workload, namespace string) (string, string) {
	if workload == "" && namespace != "" {
		workload = namespace + "/" + service
	}
	return cmp.Or(service, "unknown_service"), workload
}

// statusOf reads an HTTP status, 0 when it is none.
func statusOf(text string) int {
	if n, err := strconv.Atoi(text); err == nil && n >= 100 && n <= 599 {
		return n
	}
	return 0
}

// entries lists the index values of a span.
func (f facts) entries(yield func(index, string)) {
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

// span gives a row in the API's shape; begin is the trace's start in ns.
func (b *block) span(row uint32, begin int64) Span {
	r := &b.resources[b.source[row]]
	out := Span{
		SpanID: b.spans[row].String(), ParentID: b.parents[row].String(),
		Service: r.service, Workload: r.workload, Operation: b.texts[b.name[row]], Kind: kindName(b.code[row] & codeKind),
		Version: b.resourceText(r, attrVersion), Node: cmp.Or(b.resourceText(r, attrNode), b.resourceText(r, attrInstance)),
		StartUS: (b.start[row] - begin) / 1000, DurationUS: b.took[row] / 1000,
		Status: statusName(b.code[row] >> codeStatusShift & codeStatus), Message: b.texts[b.message[row]],
		Events: b.events(row, begin),
	}
	keys, values := b.attributes(row)
	out.Attributes = make([]Attribute, len(keys))
	for i := range keys {
		out.Attributes[i] = Attribute{Key: b.texts[keys[i]], Value: b.texts[values[i]]}
	}
	return out
}

// events reads a row's events, which are kept as they came.
func (b *block) events(row uint32, begin int64) []Event {
	out := []Event{}
	var f otlpwire.Field
	for rest := otlpwire.Read(b.rest[b.restAt[row]:b.restAt[row+1]]); rest.Next(&f); {
		if f.Number != 11 {
			continue
		}
		// pdata decodes an event as a part of a request of one span.
		message := f.Bytes
		for _, field := range []byte{11, 2, 2, 1} {
			message = append(binary.AppendUvarint([]byte{field<<3 | 2}, uint64(len(message))), message...)
		}
		td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
		if err != nil {
			continue
		}
		e := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Events().At(0)
		out = append(out, Event{AtUS: (int64(e.Timestamp()) - begin) / 1000, Name: e.Name(), Attributes: attributesOf(e.Attributes())})
	}
	return out
}

func attributesOf(m pcommon.Map) []Attribute {
	out := make([]Attribute, 0, m.Len())
	for k, v := range m.All() {
		out = append(out, Attribute{Key: k, Value: v.AsString()})
	}
	return out
}

func kindName(kind uint32) string {
	switch ptrace.SpanKind(kind) {
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

const statusError = uint32(ptrace.StatusCodeError)

func statusName(code uint32) string {
	switch code {
	case uint32(ptrace.StatusCodeOk):
		return "ok"
	case statusError:
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
