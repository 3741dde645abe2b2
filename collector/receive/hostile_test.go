package receive

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	"github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// checked is a store that holds everything it is given to what clean promises.
type checked struct {
	t     testing.TB
	spans int
}

func (c *checked) WriteOTLP(ctx context.Context, message []byte, spans int) error {
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
	if err != nil || td.SpanCount() != spans {
		c.t.Errorf("%d spans announced, %d there: %v", spans, td.SpanCount(), err)
	}
	return c.WriteSpans(ctx, td)
}

func (c *checked) WriteSpans(_ context.Context, td ptrace.Traces) error {
	texts := func(m pcommon.Map) {
		if m.Len() > maxAttributes {
			c.t.Errorf("%d attributes", m.Len())
		}
		for k, v := range m.All() {
			if text := v.AsString(); len(k) > maxName || len(text) > maxValue+2*utf8.UTFMax || !utf8.ValidString(k) || !utf8.ValidString(text) {
				c.t.Errorf("key of %d bytes, value of %d bytes", len(k), len(text))
			}
		}
	}
	for _, rs := range td.ResourceSpans().All() {
		texts(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				c.spans++
				if s.TraceID().IsEmpty() || s.SpanID().IsEmpty() || bad(s.StartTimestamp()) || bad(s.EndTimestamp()) || !utf8.ValidString(s.Name()) {
					c.t.Errorf("span %v of trace %v, %d to %d, %q", s.SpanID(), s.TraceID(), s.StartTimestamp(), s.EndTimestamp(), s.Name())
				}
				if s.Events().Len() > maxEvents || s.Links().Len() > maxLinks {
					c.t.Errorf("%d events, %d links", s.Events().Len(), s.Links().Len())
				}
				texts(s.Attributes())
			}
		}
	}
	return nil
}

func receiver(t testing.TB) (*Receiver, *checked, *prometheus.Registry) {
	t.Helper()
	store, registry := &checked{t: t}, prometheus.NewRegistry()
	r, err := New(Options{Store: store, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	return r, store, registry
}

func send(r *Receiver, path, kind string, body []byte) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	r.httpHandler().ServeHTTP(w, req)
	return w
}

// What is over a limit is cut off, counted and told; the rest is kept.
func TestHostileSpan(t *testing.T) {
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	s := spans.AppendEmpty()
	s.SetTraceID(pcommon.TraceID{1})
	s.SetSpanID(pcommon.SpanID{1})
	s.SetName("bad \xff name")
	s.SetStartTimestamp(math.MaxUint64)
	for i := range 1000 {
		s.Attributes().PutInt("k"+strings.Repeat("x", i%7)+string(rune('a'+i%26)), int64(i))
		s.Events().AppendEmpty().SetName("e")
		s.Links().AppendEmpty()
	}
	s.Attributes().Clear()
	for i := range 1000 {
		s.Attributes().PutStr(strings.Repeat("k", 1+i), "v")
	}
	big := spans.AppendEmpty()
	s.CopyTo(big)
	big.Attributes().Clear()
	big.Attributes().PutStr("text", strings.Repeat("ä", maxValue))
	big.Attributes().PutEmptyMap("map").PutStr("deep", strings.Repeat("x", 2*maxValue))
	big.SetSpanID(pcommon.SpanID{2})
	spans.AppendEmpty().SetName("no IDs")

	r, store, registry := receiver(t)
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	w := send(r, "/v1/traces", typeProtobuf, body)
	answer := ptraceotlp.NewExportResponse()
	if err := answer.UnmarshalProto(w.Body.Bytes()); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if p := answer.PartialSuccess(); p.RejectedSpans() != 1 || !strings.Contains(p.ErrorMessage(), "without a trace ID") {
		t.Errorf("partial success: %d %q", p.RejectedSpans(), p.ErrorMessage())
	}
	if store.spans != 2 {
		t.Errorf("%d spans stored, want 2", store.spans)
	}
	want := `
# HELP sidelight_collector_span_parts_cut_total Parts of spans that were over a limit or not valid, by part: attribute, event, link, text, time.
# TYPE sidelight_collector_span_parts_cut_total counter
sidelight_collector_span_parts_cut_total{part="attribute"} 744
sidelight_collector_span_parts_cut_total{part="event"} 1488
sidelight_collector_span_parts_cut_total{part="link"} 1488
sidelight_collector_span_parts_cut_total{part="text"} 4
sidelight_collector_span_parts_cut_total{part="time"} 516
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "sidelight_collector_span_parts_cut_total"); err != nil {
		t.Error(err)
	}
}

// Two bytes a span on the wire, hundreds in memory: told apart before memory
// is spent.
func TestManyTinyParts(t *testing.T) {
	nest := func(message []byte, fields ...protowire.Number) []byte {
		for _, n := range fields {
			message = protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), message)
		}
		return message
	}
	tiny := func(tag protowire.Number, n int) []byte {
		return bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, tag, protowire.BytesType), nil), n)
	}
	r, _, _ := receiver(t)
	grpc := newCodec()
	for name, tt := range map[string]struct {
		body []byte
		into any
	}{
		"spans":        {nest(tiny(2, 7_000_000), 2, 1), nil},
		"attributes":   {nest(tiny(9, 7_000_000), 2, 2, 1), nil},
		"events":       {nest(tiny(11, 7_000_000), 2, 2, 1), nil},
		"resources":    {tiny(1, 7_000_000), nil},
		"Jaeger spans": {nest(tiny(1, 7_000_000), 1), &api_v2.PostSpansRequest{}},
		"Jaeger tags":  {nest(tiny(8, 7_000_000), 1, 1), &api_v2.PostSpansRequest{}},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if tt.into == nil {
				if w := send(r, "/v1/traces", typeProtobuf, tt.body); w.Code != http.StatusRequestEntityTooLarge {
					t.Errorf("status %d, want 413", w.Code)
				}
			} else if err := grpc.Unmarshal(mem.BufferSlice{mem.SliceBuffer(tt.body)}, tt.into); err == nil {
				t.Error("it is decoded")
			}
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 6*uint64(len(tt.body))+32<<20 {
				t.Errorf("%d MiB of memory for %d MiB", spent>>20, len(tt.body)>>20)
			}
		})
	}
	if w := send(r, "/v1/traces", typeJSON, []byte(`{"resourceSpans":[`+strings.Repeat("{},", 600_000)+"{}]}")); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("JSON: status %d, want 413", w.Code)
	}
}

// A clock that is off does not keep a span from being stored.
func TestTimes(t *testing.T) {
	arrival := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		name                           string
		start, end, wantStart, wantEnd pcommon.Timestamp
		lost                           int
	}{
		{"fine", 5, 9, 5, 9, 0},
		{"none", 0, 0, 1_800_000_000e9, 1_800_000_000e9, 2},
		{"no start", 0, 9, 9, 9, 1},
		{"no end", 5, 0, 5, 5, 1},
		{"past all time", math.MaxUint64, math.MaxUint64, 1_800_000_000e9, 1_800_000_000e9, 2},
		{"backwards", 9, 5, 9, 5, 0},
	} {
		td := ptrace.NewTraces()
		s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{1})
		s.SetSpanID(pcommon.SpanID{1})
		s.SetStartTimestamp(tt.start)
		s.SetEndTimestamp(tt.end)
		lost := clean(td, arrival)
		if s.StartTimestamp() != tt.wantStart || s.EndTimestamp() != tt.wantEnd || lost.times != tt.lost {
			t.Errorf("%s: %d to %d, %d lost; want %d to %d, %d lost", tt.name, s.StartTimestamp(), s.EndTimestamp(), lost.times, tt.wantStart, tt.wantEnd, tt.lost)
		}
	}
}

func seedOTLP(f *testing.F, as func(ptraceotlp.ExportRequest) ([]byte, error)) {
	f.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "web")
	s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	s.SetTraceID(pcommon.TraceID{1})
	s.SetSpanID(pcommon.SpanID{2})
	s.Attributes().PutEmptySlice("list").AppendEmpty().SetDouble(1.5)
	s.Events().AppendEmpty().Attributes().PutBool("b", true)
	body, err := as(ptraceotlp.NewExportRequestFromTraces(td))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte{})
}

func FuzzOTLP(f *testing.F) {
	seedOTLP(f, ptraceotlp.ExportRequest.MarshalProto)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _, _ := receiver(t)
		if w := send(r, "/v1/traces", typeProtobuf, body); w.Code != 200 && w.Code != 400 && w.Code != 413 {
			t.Errorf("status %d", w.Code)
		}
	})
}

func FuzzOTLPJSON(f *testing.F) {
	seedOTLP(f, ptraceotlp.ExportRequest.MarshalJSON)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _, _ := receiver(t)
		w := send(r, "/v1/traces", typeJSON, body)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("status %d %s", w.Code, w.Body)
		}
	})
}

func FuzzZipkin(f *testing.F) {
	f.Add([]byte(`[{"traceId":"1","id":"2","parentId":"3","kind":"SERVER","shared":true,"timestamp":1,"duration":2,"annotations":[{"timestamp":3,"value":"x"}],"tags":{"error":"y"}}]`), true)
	f.Add([]byte("\x0a\x06\x0a\x01\x01\x1a\x01\x02"), false)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		r, _, _ := receiver(t)
		kind := typeProtobuf
		if isJSON {
			kind = typeJSON
		}
		if w := send(r, "/api/v2/spans", kind, body); w.Code != 202 && w.Code != 400 && w.Code != 413 {
			t.Errorf("status %d", w.Code)
		}
	})
}

func FuzzJaeger(f *testing.F) {
	seed := api_v2.PostSpansRequest{Batch: model.Batch{Process: model.NewProcess("web", nil), Spans: []*model.Span{{
		TraceID: model.NewTraceID(1, 2), SpanID: 3, References: []model.SpanRef{model.NewChildOfRef(model.NewTraceID(1, 2), 4)},
		Tags: []model.KeyValue{model.Bool("error", true)}, Logs: []model.Log{{Fields: []model.KeyValue{model.String("event", "x")}}},
	}}}}
	body, err := seed.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, _, _ := receiver(t)
		var req api_v2.PostSpansRequest
		if newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, &req) == nil {
			if _, err := (&jaegerService{receiver: r}).PostSpans(t.Context(), &req); err != nil {
				t.Error(err)
			}
		}
	})
}
