package receive

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// A message that goes to the store as it came is one that pdata decodes and
// that clean has nothing to do to.
func checkInspected(t *testing.T, body []byte) (asItCame bool) {
	t.Helper()
	var i inspector
	if i.request(body) != nil || i.dirty {
		return false
	}
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(body); err != nil {
		t.Fatalf("taken as it came, and cannot be decoded: %v", err)
	}
	if n := req.Traces().SpanCount(); n != i.spans {
		t.Errorf("%d spans counted, %d decoded", i.spans, n)
	}
	if lost := clean(req.Traces(), time.Now()); lost != (losses{}) {
		t.Errorf("taken as it came, but clean finds %+v", lost)
	}
	return true
}

func FuzzInspect(f *testing.F) {
	seedOTLP(f, ptraceotlp.ExportRequest.MarshalProto)
	f.Fuzz(func(t *testing.T, body []byte) { checkInspected(t, body) })
}

// What senders send in earnest needs no cleaning; each thing that does is seen.
func TestInspect(t *testing.T) {
	request := func(change func(rs ptrace.ResourceSpans, s ptrace.Span)) []byte {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "web")
		scope := rs.ScopeSpans().AppendEmpty()
		scope.Scope().SetName("http")
		s := scope.Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{1})
		s.SetSpanID(pcommon.SpanID{2})
		s.SetParentSpanID(pcommon.SpanID{3})
		s.SetName("GET /")
		s.TraceState().FromRaw("a=b")
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		s.Attributes().PutInt("n", -1)
		s.Attributes().PutDouble("d", 1.5)
		s.Attributes().PutBool("b", true)
		s.Attributes().PutStr("empty", "")
		s.Attributes().PutEmpty("nothing")
		e := s.Events().AppendEmpty()
		e.SetName("exception")
		e.SetTimestamp(s.StartTimestamp())
		e.Attributes().PutStr("k", "v")
		l := s.Links().AppendEmpty()
		l.SetTraceID(pcommon.TraceID{4})
		l.SetSpanID(pcommon.SpanID{5})
		s.Status().SetCode(ptrace.StatusCodeError)
		s.Status().SetMessage("it broke")
		change(rs, s)
		body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if !checkInspected(t, request(func(ptrace.ResourceSpans, ptrace.Span) {})) {
		t.Error("a span as any sender makes it was decoded")
	}
	for name, change := range map[string]func(rs ptrace.ResourceSpans, s ptrace.Span){
		"no trace ID":       func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetTraceID(pcommon.TraceID{}) },
		"no ID":             func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetSpanID(pcommon.SpanID{}) },
		"no start":          func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetStartTimestamp(0) },
		"no end":            func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetEndTimestamp(1 << 63) },
		"name of no text":   func(_ ptrace.ResourceSpans, s ptrace.Span) { s.SetName("\xff") },
		"a list":            func(_ ptrace.ResourceSpans, s ptrace.Span) { s.Attributes().PutEmptySlice("l") },
		"a map in resource": func(rs ptrace.ResourceSpans, _ ptrace.Span) { rs.Resource().Attributes().PutEmptyMap("m") },
		"bytes":             func(_ ptrace.ResourceSpans, s ptrace.Span) { s.Attributes().PutEmptyBytes("b").Append(1) },
		"key of no text":    func(_ ptrace.ResourceSpans, s ptrace.Span) { s.Attributes().PutStr("\xff", "v") },
		"event without a time": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.Events().AppendEmpty().SetName("x")
		},
		"long value": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			s.Attributes().PutStr("k", strings.Repeat("x", maxValue+1))
		},
		"many attributes": func(_ ptrace.ResourceSpans, s ptrace.Span) {
			for i := range maxAttributes {
				s.Attributes().PutInt(string(rune('a'+i)), 1)
			}
		},
	} {
		if checkInspected(t, request(change)) {
			t.Errorf("%s: not seen", name)
		}
	}
}
