package jaeger

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// jsonV3 is api_v3 over HTTP: traces in OTLP's JSON, in an envelope "result".
type jsonV3 struct{ q traces.Querier }

func (j jsonV3) services(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Services(r.Context())
	writeV3(w, map[string]any{"services": names}, err)
}

func (j jsonV3) operations(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Operations(r.Context(), r.URL.Query().Get("service"))
	list := []map[string]string{}
	for _, name := range names {
		list = append(list, map[string]string{"name": name, "spanKind": ""})
	}
	writeV3(w, map[string]any{"operations": list}, err)
}

func (j jsonV3) trace(w http.ResponseWriter, r *http.Request) {
	t, err := j.q.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		writeV3(w, nil, err)
		return
	}
	td := ptrace.NewTraces()
	appendOTLP(td, t)
	writeTraces(w, td)
}

func (j jsonV3) search(w http.ResponseWriter, r *http.Request) {
	q, err := queryV3(r.URL.Query())
	if err != nil {
		writeV3(w, nil, err)
		return
	}
	td := ptrace.NewTraces()
	for t, err := range j.q.Stream(r.Context(), q) {
		if err != nil {
			writeV3(w, nil, err)
			return
		}
		appendOTLP(td, t)
	}
	if td.SpanCount() == 0 {
		writeV3(w, nil, fmt.Errorf("%w: no trace matches", mesh.ErrNotFound))
		return
	}
	writeTraces(w, td)
}

func (j jsonV3) dependencies(w http.ResponseWriter, r *http.Request) {
	from, err := momentV3(r.URL.Query(), "start_time")
	to, err2 := momentV3(r.URL.Query(), "end_time")
	if err == nil {
		err = err2
	}
	var links []link
	if err == nil {
		links, err = dependencies(r.Context(), j.q, from, to)
	}
	list := []map[string]any{}
	for _, l := range links {
		// A uint64 is a text in protobuf's JSON.
		list = append(list, map[string]any{"parent": l.parent, "child": l.child, "callCount": strconv.FormatUint(l.calls, 10)})
	}
	writeV3(w, map[string]any{"dependencies": list}, err)
}

// queryV3 reads query.service_name and so on; snake case as Jaeger documents
// it, camel case as its gateway takes, too.
func queryV3(v url.Values) (traces.Query, error) {
	get := func(snake, camel string) string {
		if s := v.Get("query." + snake); s != "" {
			return s
		}
		return v.Get("query." + camel)
	}
	q := traces.Query{Service: get("service_name", "serviceName"), Operation: get("operation_name", "operationName")}
	var err error
	for _, p := range []struct {
		snake, camel string
		into         *time.Time
	}{{"start_time_min", "startTimeMin", &q.From}, {"start_time_max", "startTimeMax", &q.To}} {
		if s := get(p.snake, p.camel); s != "" {
			if *p.into, err = timeV3(s); err != nil {
				return q, fmt.Errorf("parameter query.%s: %w: want an RFC 3339 time, not %q", p.snake, mesh.ErrInvalid, s)
			}
		}
	}
	for _, p := range []struct {
		snake, camel string
		into         *time.Duration
	}{{"duration_min", "durationMin", &q.MinDuration}, {"duration_max", "durationMax", &q.MaxDuration}} {
		if s := get(p.snake, p.camel); s != "" {
			if *p.into, err = time.ParseDuration(s); err != nil {
				return q, fmt.Errorf("parameter query.%s: %w: want a duration like 1.2s, not %q", p.snake, mesh.ErrInvalid, s)
			}
		}
	}
	depth := get("search_depth", "searchDepth")
	if depth == "" {
		depth = get("num_traces", "numTraces") // before 1.65
	}
	if depth != "" {
		n, err := strconv.Atoi(depth)
		if err != nil || n < 0 {
			return q, fmt.Errorf("parameter query.search_depth: %w: want a number, not %q", mesh.ErrInvalid, depth)
		}
		q.Limit = min(n, traces.MaxLimit)
	}
	if s := get("attributes", "attributes"); s != "" {
		if err := json.Unmarshal([]byte(s), &q.Tags); err != nil {
			return q, fmt.Errorf("parameter query.attributes: %w: want a JSON object of texts", mesh.ErrInvalid)
		}
	}
	takeError(&q)
	return q, nil
}

func momentV3(v url.Values, name string) (time.Time, error) {
	t, err := timeV3(v.Get(name))
	if err != nil {
		return t, fmt.Errorf("parameter %s: %w: want an RFC 3339 time, not %q", name, mesh.ErrInvalid, v.Get(name))
	}
	return t, nil
}

// timeV3 reads an RFC 3339 time. Grafana does not quote the + of a time zone,
// which makes it a blank.
func timeV3(s string) (time.Time, error) {
	return time.Parse(time.RFC3339Nano, strings.ReplaceAll(s, " ", "+"))
}

// takeError turns Jaeger's way to ask for errors, a tag, into ours.
func takeError(q *traces.Query) {
	if q.Tags["error"] == "true" {
		q.Errors = true
		delete(q.Tags, "error")
	}
}

func writeV3(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(statusOf(err))
		v = map[string]any{"error": map[string]any{"grpcCode": codeOf(err), "httpCode": statusOf(err), "message": err.Error()}}
	}
	_ = json.NewEncoder(w).Encode(v)
}

func writeTraces(w http.ResponseWriter, td ptrace.Traces) {
	body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(td)
	writeV3(w, map[string]any{"result": json.RawMessage(body)}, err)
}

// appendOTLP adds a trace in OTLP's form, a resource for each process.
func appendOTLP(td ptrace.Traces, t traces.Trace) {
	resources := map[[4]string]ptrace.SpanSlice{}
	for i := range t.Spans {
		s := &t.Spans[i]
		key := [4]string{s.Service, s.Workload, s.Version, s.Node}
		to, ok := resources[key]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", s.Service)
			for _, tag := range processTags(*s) {
				rs.Resource().Attributes().PutStr(tag[0], tag[1])
			}
			to = rs.ScopeSpans().AppendEmpty().Spans()
			resources[key] = to
		}
		writeOTLP(t, s, to.AppendEmpty())
	}
}

func writeOTLP(t traces.Trace, s *traces.Span, to ptrace.Span) {
	to.SetTraceID(pcommon.TraceID(idOf(t.TraceID, 16)))
	to.SetSpanID(pcommon.SpanID(idOf(s.SpanID, 8)))
	to.SetParentSpanID(pcommon.SpanID(idOf(s.ParentID, 8)))
	to.SetName(s.Operation)
	to.SetKind(otlpKinds[s.Kind])
	at := func(us int64) pcommon.Timestamp {
		return pcommon.NewTimestampFromTime(t.Start.Add(time.Duration(us) * time.Microsecond))
	}
	to.SetStartTimestamp(at(s.StartUS))
	to.SetEndTimestamp(at(s.StartUS + s.DurationUS))
	to.Status().SetMessage(s.Message)
	switch s.Status {
	case "ok":
		to.Status().SetCode(ptrace.StatusCodeOk)
	case "error":
		to.Status().SetCode(ptrace.StatusCodeError)
	}
	put(to.Attributes(), s.Attributes)
	for _, e := range s.Events {
		event := to.Events().AppendEmpty()
		event.SetName(e.Name)
		event.SetTimestamp(at(e.AtUS))
		put(event.Attributes(), e.Attributes)
	}
}

var otlpKinds = map[string]ptrace.SpanKind{
	"internal": ptrace.SpanKindInternal, "client": ptrace.SpanKindClient, "server": ptrace.SpanKindServer,
	"producer": ptrace.SpanKindProducer, "consumer": ptrace.SpanKindConsumer,
}

func put(to pcommon.Map, attributes []traces.Attribute) {
	for _, a := range attributes {
		if n, ok := integer(a); ok {
			to.PutInt(a.Key, n)
		} else {
			to.PutStr(a.Key, a.Value)
		}
	}
}

// idOf reads an ID of n bytes; the store writes them whole.
func idOf(text string, n int) []byte {
	id, err := hex.DecodeString(text)
	if err != nil || len(id) != n {
		return make([]byte, n)
	}
	return id
}
