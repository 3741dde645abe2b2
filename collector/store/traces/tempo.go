package traces

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// tempoSource reads Grafana Tempo by its HTTP API: searches in TraceQL, traces
// by their ID in OTLP's protobuf.
type tempoSource struct{ *remoteClient }

func (t *tempoSource) find(ctx context.Context, q Query, from, to time.Time, n int) ([]candidate, bool, error) {
	var answer struct {
		Traces []struct {
			TraceID string `json:"traceID"` // without leading zeros
		} `json:"traces"`
	}
	err := t.json(ctx, "api/search", url.Values{
		"q": {traceQL(&q)}, "limit": {strconv.Itoa(n)}, "spss": {"1"},
		"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(to.Unix()+1, 10)},
	}, &answer)
	if err != nil {
		return nil, false, err
	}
	list := make([]candidate, 0, len(answer.Traces))
	for _, found := range answer.Traces {
		id, ok := parseTraceID(strings.ToLower(found.TraceID))
		if !ok {
			return nil, false, t.broken(fmt.Errorf("%q is no trace ID", found.TraceID))
		}
		list = append(list, candidate{id: id})
	}
	return distinct(list), len(list) >= n, nil
}

// get asks for protobuf: the answer is one message, with the fields of OTLP's
// TracesData.
func (t *tempoSource) get(ctx context.Context, id traceID) (ptrace.Traces, error) {
	body, err := t.remoteClient.get(ctx, "api/traces/"+hexID(id), nil, "application/protobuf")
	if err != nil {
		return ptrace.NewTraces(), err
	}
	defer body.Close()
	message, err := io.ReadAll(body)
	if err != nil {
		return ptrace.NewTraces(), t.broken(err)
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
	if err != nil {
		return ptrace.NewTraces(), t.broken(err)
	}
	return td, nil
}

func (t *tempoSource) services(ctx context.Context) ([]string, error) {
	return t.values(ctx, "resource.service.name", nil)
}

func (t *tempoSource) operations(ctx context.Context, service string) ([]string, error) {
	return t.values(ctx, "name", url.Values{"q": {"{ resource.service.name = " + strconv.Quote(service) + " }"}})
}

func (t *tempoSource) values(ctx context.Context, tag string, query url.Values) ([]string, error) {
	var answer struct {
		TagValues []struct {
			Value string `json:"value"`
		} `json:"tagValues"`
	}
	err := t.json(ctx, "api/v2/search/tag/"+tag+"/values", query, &answer)
	var names []string
	for _, v := range answer.TagValues {
		names = append(names, v.Value)
	}
	return names, err
}

// traceQL writes a query in TraceQL. It may find more than the query: whether
// a trace is clean, TraceQL cannot say.
func traceQL(q *Query) string {
	var all []string
	add := func(condition string, given bool) {
		if given {
			all = append(all, condition)
		}
	}
	is := func(field, value string) string { return field + " = " + strconv.Quote(value) }
	add(is("resource.service.name", q.Service), q.Service != "")
	add(is("name", q.Operation), q.Operation != "")
	namespace, name, _ := strings.Cut(q.Workload, "/")
	add("("+is("resource."+attrWorkload, q.Workload)+" || ("+is("resource."+attrNamespace, namespace)+" && "+is("resource."+attrService, name)+"))", q.Workload != "")
	add(is("span."+attrSource, q.Source), q.Source != "")
	add(is("span."+attrDestination, q.Target), q.Target != "")
	add(is("span."+attrRoute, q.Route), q.Route != "")
	add("("+statusQL("span."+attrStatus, q.Status)+" || "+statusQL("span."+attrStatusOld, q.Status)+")", q.Status != "")
	for _, key := range slices.Sorted(maps.Keys(q.Tags)) {
		add(tagQL(key, q.Tags[key]), true)
	}
	add(fmt.Sprintf("traceDuration >= %dns", q.MinDuration), q.MinDuration > 0)
	add(fmt.Sprintf("traceDuration <= %dns", q.MaxDuration), q.MaxDuration > 0)
	spans := "{ " + strings.Join(all, " && ") + " }"
	if !q.Errors {
		return spans
	}
	if len(all) == 0 {
		return "{ status = error }"
	}
	return spans + " && { status = error }"
}

func statusQL(field, status string) string {
	if !strings.HasSuffix(status, "xx") {
		return field + " = " + status
	}
	class := status[:1]
	return "(" + field + " >= " + class + "00 && " + field + " <= " + class + "99)"
}

// tagQL asks for an attribute of span or resource. A value that reads as a
// number or a truth value may be one.
func tagQL(key, value string) string {
	field := "." + key
	if strings.ContainsFunc(key, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/", c)
	}) {
		field = "." + strconv.Quote(key)
	}
	text := field + " = " + strconv.Quote(value)
	_, err := strconv.ParseInt(value, 10, 64)
	if err == nil || value == "true" || value == "false" {
		return "(" + text + " || " + field + " = " + value + ")"
	}
	return text
}
