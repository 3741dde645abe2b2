package jaeger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Handler serves the HTTP APIs of Jaeger's query service, relative to /api: what
// Jaeger's UI and Grafana's Jaeger data source ask (services, operations,
// traces, dependencies), and api_v3 below /api/v3.
func Handler(q traces.Querier) http.Handler {
	j := jsonAPI{q}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/services", j.services)
	mux.HandleFunc("GET /api/services/{service}/operations", j.operations)
	mux.HandleFunc("GET /api/operations", j.operationKinds)
	mux.HandleFunc("GET /api/traces", j.search)
	mux.HandleFunc("GET /api/traces/{id}", j.trace)
	mux.HandleFunc("GET /api/dependencies", j.dependencies)
	v3 := jsonV3{q}
	mux.HandleFunc("GET /api/v3/services", v3.services)
	mux.HandleFunc("GET /api/v3/operations", v3.operations)
	mux.HandleFunc("GET /api/v3/traces", v3.search)
	mux.HandleFunc("GET /api/v3/traces/{id}", v3.trace)
	mux.HandleFunc("GET /api/v3/dependencies", v3.dependencies)
	return mux
}

type jsonAPI struct{ q traces.Querier }

// answer is the envelope of every answer of Jaeger's JSON API.
type answer struct {
	Data   any           `json:"data"`
	Total  int           `json:"total"`
	Limit  int           `json:"limit"`
	Offset int           `json:"offset"`
	Errors []answerError `json:"errors"`
}

type answerError struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
	TraceID string `json:"traceID,omitempty"`
}

type jsonTrace struct {
	TraceID   string                 `json:"traceID"`
	Spans     []jsonSpan             `json:"spans"`
	Processes map[string]jsonProcess `json:"processes"`
	Warnings  []string               `json:"warnings"`
}

type jsonSpan struct {
	TraceID       string          `json:"traceID"`
	SpanID        string          `json:"spanID"`
	OperationName string          `json:"operationName"`
	References    []jsonReference `json:"references"`
	StartTime     int64           `json:"startTime"` // µs since 1970
	Duration      int64           `json:"duration"`  // µs
	Tags          []jsonTag       `json:"tags"`
	Logs          []jsonLog       `json:"logs"`
	ProcessID     string          `json:"processID"`
	Warnings      []string        `json:"warnings"`
}

type jsonReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jsonTag struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type jsonLog struct {
	Timestamp int64     `json:"timestamp"`
	Fields    []jsonTag `json:"fields"`
}

type jsonProcess struct {
	ServiceName string    `json:"serviceName"`
	Tags        []jsonTag `json:"tags"`
}

func (j jsonAPI) services(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Services(r.Context())
	j.write(w, names, len(names), err)
}

func (j jsonAPI) operations(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Operations(r.Context(), r.PathValue("service"))
	j.write(w, names, len(names), err)
}

func (j jsonAPI) operationKinds(w http.ResponseWriter, r *http.Request) {
	names, err := j.q.Operations(r.Context(), r.URL.Query().Get("service"))
	kinds := make([]map[string]string, 0, len(names))
	for _, name := range names {
		kinds = append(kinds, map[string]string{"name": name, "spanKind": ""})
	}
	j.write(w, kinds, len(kinds), err)
}

func (j jsonAPI) search(w http.ResponseWriter, r *http.Request) {
	found := []jsonTrace{}
	var err error
	if ids := r.URL.Query()["traceID"]; len(ids) > 0 {
		found, err = j.byID(r.Context(), ids)
	} else {
		var query traces.Query
		if query, err = queryOf(r.URL.Query()); err == nil {
			for t, streamErr := range j.q.Stream(r.Context(), query) {
				if err = streamErr; err == nil {
					found = append(found, jsonTraceOf(t))
				}
			}
		}
	}
	j.write(w, found, len(found), err)
}

func (j jsonAPI) byID(ctx context.Context, ids []string) ([]jsonTrace, error) {
	found := make([]jsonTrace, 0, len(ids))
	for _, id := range ids {
		t, err := j.q.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		found = append(found, jsonTraceOf(t))
	}
	return found, nil
}

func (j jsonAPI) trace(w http.ResponseWriter, r *http.Request) {
	trace, err := j.q.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		j.write(w, nil, 0, err)
		return
	}
	j.write(w, []jsonTrace{jsonTraceOf(trace)}, 1, nil)
}

func (j jsonAPI) write(w http.ResponseWriter, data any, total int, err error) {
	w.Header().Set("Content-Type", "application/json")
	envelope := answer{Data: data, Total: total}
	if err != nil {
		status := statusOf(err)
		envelope = answer{Errors: []answerError{{Code: status, Message: err.Error()}}}
		w.WriteHeader(status)
	}
	_ = json.NewEncoder(w).Encode(envelope)
}

// queryOf reads the parameters of Jaeger's search: times in µs since 1970,
// durations as "1.2s", tags as a JSON object, or one by one as tag=key:value.
func queryOf(v url.Values) (traces.Query, error) {
	q := traces.Query{Service: v.Get("service"), Operation: v.Get("operation"), Tags: map[string]string{}}
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
		q.Limit = min(n, traces.MaxLimit)
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
	takeError(&q)
	return q, nil
}

// jsonTraceOf gives a trace in Jaeger's shape. Processes are told apart by what
// the store keeps of resources.
func jsonTraceOf(t traces.Trace) jsonTrace {
	out := jsonTrace{TraceID: t.TraceID, Spans: make([]jsonSpan, 0, len(t.Spans)), Processes: map[string]jsonProcess{}, Warnings: t.Problems}
	ids := make(map[[4]string]string)
	for _, s := range t.Spans {
		key := [4]string{s.Service, s.Workload, s.Version, s.Node}
		process, ok := ids[key]
		if !ok {
			process = fmt.Sprintf("p%d", len(ids)+1)
			ids[key] = process
			p := jsonProcess{ServiceName: s.Service, Tags: []jsonTag{}}
			for _, tag := range processTags(s) {
				p.Tags = append(p.Tags, stringTag(tag[0], tag[1]))
			}
			out.Processes[process] = p
		}
		out.Spans = append(out.Spans, jsonSpanOf(t, s, process))
	}
	return out
}

func jsonSpanOf(t traces.Trace, s traces.Span, process string) jsonSpan {
	begin := t.Start.UnixMicro()
	out := jsonSpan{
		TraceID: t.TraceID, SpanID: s.SpanID, OperationName: s.Operation, References: []jsonReference{},
		StartTime: begin + s.StartUS, Duration: s.DurationUS, Tags: []jsonTag{}, Logs: []jsonLog{}, ProcessID: process,
	}
	if s.ParentID != "" {
		out.References = append(out.References, jsonReference{RefType: model.SpanRefType_name[int32(model.ChildOf)], TraceID: t.TraceID, SpanID: s.ParentID})
	}
	for _, a := range s.Attributes {
		out.Tags = append(out.Tags, tagOf(a))
	}
	if s.Kind != "internal" {
		out.Tags = append(out.Tags, stringTag(model.SpanKindKey, s.Kind))
	}
	if s.Status == "error" {
		out.Tags = append(out.Tags, jsonTag{Key: "error", Type: "bool", Value: true}, stringTag("otel.status_description", s.Message))
	}
	for _, e := range s.Events {
		entry := jsonLog{Timestamp: begin + e.AtUS, Fields: []jsonTag{stringTag("event", e.Name)}}
		for _, a := range e.Attributes {
			entry.Fields = append(entry.Fields, stringTag(a.Key, a.Value))
		}
		out.Logs = append(out.Logs, entry)
	}
	return out
}

func stringTag(key, value string) jsonTag {
	return jsonTag{Key: key, Type: "string", Value: value}
}

// tagOf gives numbers as such where conventions say that they are numbers: the
// store keeps every value as text.
func tagOf(a traces.Attribute) jsonTag {
	if n, ok := integer(a); ok {
		return jsonTag{Key: a.Key, Type: "int64", Value: n}
	}
	return stringTag(a.Key, a.Value)
}

// dependencies serves the graph of services that a time range's traces show.
// endTs and lookback are in milliseconds.
func (j jsonAPI) dependencies(w http.ResponseWriter, r *http.Request) {
	end, err := milliseconds(r.URL.Query(), "endTs", time.Now().UnixMilli())
	lookback, err2 := milliseconds(r.URL.Query(), "lookback", (24 * time.Hour).Milliseconds())
	if err = errors.Join(err, err2); err != nil {
		j.write(w, nil, 0, err)
		return
	}
	links, err := dependencies(r.Context(), j.q, time.UnixMilli(end-lookback), time.UnixMilli(end))
	out := []map[string]any{}
	for _, l := range links {
		out = append(out, map[string]any{"parent": l.parent, "child": l.child, "callCount": l.calls})
	}
	j.write(w, out, len(out), err)
}

func milliseconds(v url.Values, name string, otherwise int64) (int64, error) {
	s := v.Get(name)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("parameter %q: %w: want milliseconds, not %q", name, mesh.ErrInvalid, s)
	}
	return n, nil
}
