package traces

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// JaegerHandler serves the JSON API that Jaeger's UI and Grafana's Jaeger data
// source speak, relative to /api: services, services/S/operations,
// operations?service=, traces and traces/ID.
func JaegerHandler(q Querier) http.Handler {
	j := jaegerAPI{q}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", j.services)
	mux.HandleFunc("GET /api/services/{service}/operations", j.operations)
	mux.HandleFunc("GET /api/operations", j.operationKinds)
	mux.HandleFunc("GET /api/traces", j.search)
	mux.HandleFunc("GET /api/traces/{id}", j.trace)
	return mux
}

type jaegerAPI struct{ q Querier }

// jaegerAnswer is the envelope of every answer of Jaeger's JSON API.
type jaegerAnswer struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []jaegerError `json:"errors"`
}

type jaegerError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

type jaegerTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []jaegerSpan             `json:"spans"`
	Processes map[string]jaegerProcess `json:"processes"`
	Warnings  []string                 `json:"warnings"`
}

type jaegerSpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	OperationName string            `json:"operationName"`
	References    []jaegerReference `json:"references"`
	StartTime     int64             `json:"startTime"` // µs since 1970
	Duration      int64             `json:"duration"`  // µs
	Tags          []jaegerTag       `json:"tags"`
	Logs          []jaegerLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Warnings      []string          `json:"warnings"`
}

type jaegerReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jaegerTag struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type jaegerLog struct {
	Timestamp int64       `json:"timestamp"`
	Fields    []jaegerTag `json:"fields"`
}

type jaegerProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []jaegerTag `json:"tags"`
}

func (j jaegerAPI) services(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Services(r.Context())
	j.answer(w, names, len(names), err)
}

func (j jaegerAPI) operations(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Operations(r.Context(), r.PathValue("service"))
	j.answer(w, names, len(names), err)
}

func (j jaegerAPI) operationKinds(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Operations(r.Context(), r.URL.Query().Get("service"))
	kinds := make([]map[string]string, 0, len(names))
	for _, name := range names {
		kinds = append(kinds, map[string]string{"name": name, "spanKind": ""})
	}
	j.answer(w, kinds, len(kinds), err)
}

func (j jaegerAPI) search(w http.ResponseWriter, r *http.Request) {
	ids := r.URL.Query()["traceID"]
	if len(ids) == 0 {
		query, err := jaegerQuery(r.URL.Query())
		if err != nil {
			j.answer(w, nil, 0, err)
			return
		}
		result, err := j.q.Search(r.Context(), query)
		if err != nil {
			j.answer(w, nil, 0, err)
			return
		}
		for _, s := range result.Traces {
			ids = append(ids, s.TraceID)
		}
	}
	found := make([]jaegerTrace, 0, len(ids))
	for _, id := range ids {
		trace, err := j.q.Get(r.Context(), id)
		if err != nil {
			j.answer(w, nil, 0, err)
			return
		}
		found = append(found, jaegerTraceOf(trace))
	}
	j.answer(w, found, len(found), nil)
}

func (j jaegerAPI) trace(w http.ResponseWriter, r *http.Request) {
	trace, err := j.q.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		j.answer(w, nil, 0, err)
		return
	}
	j.answer(w, []jaegerTrace{jaegerTraceOf(trace)}, 1, nil)
}

func (j jaegerAPI) answer(w http.ResponseWriter, data any, total int, err error) {
	w.Header().Set("Content-Type", "application/json")
	envelope := jaegerAnswer{Data: data, Total: total}
	if err != nil {
		status := http.StatusInternalServerError
		for _, k := range kinds {
			if errors.Is(err, k.kind) {
				status = k.status
			}
		}
		envelope = jaegerAnswer{Errors: []jaegerError{{Code: status, Message: err.Error()}}}
		w.WriteHeader(status)
	}
	_ = json.NewEncoder(w).Encode(envelope)
}

// jaegerQuery reads the parameters of Jaeger's search: times in µs since 1970,
// durations as "1.2s", tags as a JSON object, or one by one as tag=key:value.
func jaegerQuery(v url.Values) (Query, error) {
	q := Query{Service: v.Get("service"), Operation: v.Get("operation"), Tags: map[string]string{}}
	if q.Service == "" {
		return q, fmt.Errorf("parameter 'service': %w: it is required", mesh.ErrInvalid)
	}
	for _, p := range []struct {
		name string
		into *time.Time
	}{{"start", &q.From}, {"end", &q.To}} {
		if s := v.Get(p.name); s != "" {
			us, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return q, fmt.Errorf("parameter %q: %w: want microseconds since 1970, not %q", p.name, mesh.ErrInvalid, s)
			}
			*p.into = time.UnixMicro(us)
		}
	}
	for _, p := range []struct {
		name string
		into *time.Duration
	}{{"minDuration", &q.MinDuration}, {"maxDuration", &q.MaxDuration}} {
		if s := v.Get(p.name); s != "" {
			d, err := time.ParseDuration(s)
			if err != nil {
				return q, fmt.Errorf("parameter %q: %w: want a duration like 1.2s, not %q", p.name, mesh.ErrInvalid, s)
			}
			*p.into = d
		}
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			return q, fmt.Errorf("parameter 'limit': %w: want a number, not %q", mesh.ErrInvalid, s)
		}
		q.Limit = min(n, maxLimit)
	}
	if s := v.Get("tags"); s != "" {
		if err := json.Unmarshal([]byte(s), &q.Tags); err != nil {
			return q, fmt.Errorf("parameter 'tags': %w: want a JSON object of texts", mesh.ErrInvalid)
		}
	}
	for _, tag := range v["tag"] {
		key, value, ok := strings.Cut(tag, ":")
		if !ok || key == "" {
			return q, fmt.Errorf("parameter 'tag': %w: want key:value, not %q", mesh.ErrInvalid, tag)
		}
		q.Tags[key] = value
	}
	if q.Tags["error"] == "true" {
		q.Errors = true
		delete(q.Tags, "error")
	}
	return q, nil
}

// jaegerTraceOf gives a trace in Jaeger's shape. Resource attributes were
// folded into service and workload, so processes are told apart by these.
func jaegerTraceOf(t Trace) jaegerTrace {
	out := jaegerTrace{TraceID: t.TraceID, Spans: make([]jaegerSpan, 0, len(t.Spans)), Processes: map[string]jaegerProcess{}, Warnings: t.Problems}
	ids := make(map[[2]string]string)
	for _, s := range t.Spans {
		key := [2]string{s.Service, s.Workload}
		process, ok := ids[key]
		if !ok {
			process = fmt.Sprintf("p%d", len(ids)+1)
			ids[key] = process
			p := jaegerProcess{ServiceName: s.Service, Tags: []jaegerTag{}}
			if s.Workload != "" {
				p.Tags = append(p.Tags, stringTag(attrWorkload, s.Workload))
			}
			out.Processes[process] = p
		}
		out.Spans = append(out.Spans, jaegerSpanOf(t, s, process))
	}
	return out
}

func jaegerSpanOf(t Trace, s Span, process string) jaegerSpan {
	begin := t.Start.UnixMicro()
	out := jaegerSpan{
		TraceID: t.TraceID, SpanID: s.SpanID, OperationName: s.Operation, References: []jaegerReference{},
		StartTime: begin + s.StartUS, Duration: s.DurationUS, Tags: []jaegerTag{}, Logs: []jaegerLog{}, ProcessID: process,
	}
	if s.ParentID != "" {
		out.References = append(out.References, jaegerReference{RefType: model.SpanRefType_name[int32(model.ChildOf)], TraceID: t.TraceID, SpanID: s.ParentID})
	}
	for _, a := range s.Attributes {
		out.Tags = append(out.Tags, stringTag(a.Key, a.Value))
	}
	if s.Kind != "internal" {
		out.Tags = append(out.Tags, stringTag(model.SpanKindKey, s.Kind))
	}
	if s.Status == "error" {
		out.Tags = append(out.Tags, jaegerTag{Key: "error", Type: "bool", Value: true}, stringTag("otel.status_description", s.Message))
	}
	for _, e := range s.Events {
		entry := jaegerLog{Timestamp: begin + e.AtUS, Fields: []jaegerTag{stringTag("event", e.Name)}}
		for _, a := range e.Attributes {
			entry.Fields = append(entry.Fields, stringTag(a.Key, a.Value))
		}
		out.Logs = append(out.Logs, entry)
	}
	return out
}

func stringTag(key, value string) jaegerTag {
	return jaegerTag{Key: key, Type: "string", Value: value}
}
