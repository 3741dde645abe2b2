package traces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// jaegerSource reads a Jaeger query service by api_v3 over HTTP: traces in
// OTLP's JSON.
type jaegerSource struct{ *remoteClient }

// maxFannedOut bounds the services that a search without one asks for.
const maxFannedOut = 100

// find asks for one service after the other when the query names none: most
// of Jaeger's stores find by service only.
func (j *jaegerSource) find(ctx context.Context, q Query, from, to time.Time, n int) ([]candidate, bool, error) {
	services := []string{q.Service}
	if q.Service == "" {
		var err error
		if services, err = j.services(ctx); err != nil {
			return nil, false, err
		}
		if len(services) > maxFannedOut {
			return nil, false, fmt.Errorf("the search names no service, and Jaeger has %d of them, to be asked for one by one: %w: name one", len(services), mesh.ErrInvalid)
		}
	}
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
		all    []candidate
		full   bool
		errs   []error
		places = make(chan struct{}, remoteParallel)
	)
	for _, service := range services {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			list, err := j.ofService(ctx, q, service, from, to, n)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			full = full || len(list) >= n
			all = append(all, list...)
		})
	}
	asking.Wait()
	if len(errs) > 0 {
		return nil, false, errs[0]
	}
	return distinct(all), full, nil
}

func distinct(all []candidate) []candidate {
	seen := make(map[traceID]struct{}, len(all))
	once := all[:0]
	for _, c := range all {
		if _, ok := seen[c.id]; !ok {
			seen[c.id] = struct{}{}
			once = append(once, c)
		}
	}
	return once
}

func (j *jaegerSource) ofService(ctx context.Context, q Query, service string, from, to time.Time, n int) ([]candidate, error) {
	v := url.Values{
		"query.service_name":   {service},
		"query.start_time_min": {from.UTC().Format(time.RFC3339Nano)},
		"query.start_time_max": {to.UTC().Format(time.RFC3339Nano)},
		"query.search_depth":   {strconv.Itoa(n)},
		"query.num_traces":     {strconv.Itoa(n)}, // before Jaeger 1.65
	}
	if q.Operation != "" {
		v.Set("query.operation_name", q.Operation)
	}
	// Durations mean those of spans there, those of traces here. Errors, too, are
	// a trace's here and a span's there, unless nothing else is asked of spans.
	tags := map[string]string{}
	maps.Copy(tags, q.Tags)
	for key, value := range map[string]string{attrSource: q.Source, attrDestination: q.Target, attrRoute: q.Route} {
		if value != "" {
			tags[key] = value
		}
	}
	if q.Errors && !q.ofSpans() {
		tags["error"] = "true"
	}
	if len(tags) > 0 {
		text, err := json.Marshal(tags)
		if err != nil {
			return nil, fmt.Errorf("ask trace store: %w", err)
		}
		v.Set("query.attributes", string(text))
	}
	td, err := j.traces(ctx, "api/v3/traces", v)
	if errors.Is(err, mesh.ErrNotFound) {
		return nil, nil // that is how it says "none"
	}
	if err != nil {
		return nil, err
	}
	return splitTraces(td), nil
}

func (j *jaegerSource) get(ctx context.Context, id traceID) (ptrace.Traces, error) {
	return j.traces(ctx, "api/v3/traces/"+hexID(id), nil)
}

// traces reads an answer, which may come in several parts.
func (j *jaegerSource) traces(ctx context.Context, path string, query url.Values) (ptrace.Traces, error) {
	all := ptrace.NewTraces()
	body, err := j.remoteClient.get(ctx, path, query, "application/json")
	if err != nil {
		return all, err
	}
	defer body.Close()
	for parts := json.NewDecoder(body); ; {
		var part struct {
			Result json.RawMessage `json:"result"`
			Error  *struct {
				HTTPCode int    `json:"httpCode"`
				Message  string `json:"message"`
			} `json:"error"`
		}
		if err := parts.Decode(&part); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return all, j.broken(err)
		}
		if part.Error != nil {
			return all, j.broken(errors.New(part.Error.Message))
		}
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(part.Result)
		if err != nil {
			return all, j.broken(err)
		}
		td.ResourceSpans().MoveAndAppendTo(all.ResourceSpans())
	}
}

func (c *remoteClient) broken(err error) error {
	return fmt.Errorf("read answer of trace store at %s: %w: %w", c.base.Redacted(), mesh.ErrUnavailable, err)
}

// splitTraces takes an answer of several traces apart.
func splitTraces(td ptrace.Traces) []candidate {
	var list []candidate
	at := map[traceID]int{}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			into := map[traceID]ptrace.SpanSlice{}
			for _, span := range ss.Spans().All() {
				id := traceID(span.TraceID())
				to, ok := into[id]
				if !ok {
					i, known := at[id]
					if !known {
						i = len(list)
						at[id] = i
						fresh := ptrace.NewTraces()
						list = append(list, candidate{id, &fresh})
					}
					own := list[i].spans.ResourceSpans().AppendEmpty()
					rs.Resource().CopyTo(own.Resource())
					scope := own.ScopeSpans().AppendEmpty()
					ss.Scope().CopyTo(scope.Scope())
					to = scope.Spans()
					into[id] = to
				}
				span.CopyTo(to.AppendEmpty())
			}
		}
	}
	return list
}

func (j *jaegerSource) services(ctx context.Context) ([]string, error) {
	var answer struct {
		Services []string `json:"services"`
	}
	err := j.json(ctx, "api/v3/services", nil, &answer)
	return answer.Services, err
}

func (j *jaegerSource) operations(ctx context.Context, service string) ([]string, error) {
	var answer struct {
		Operations []struct {
			Name string `json:"name"`
		} `json:"operations"`
	}
	err := j.json(ctx, "api/v3/operations", url.Values{"service": {service}}, &answer)
	var names []string
	for _, o := range answer.Operations {
		names = append(names, o.Name) // once for each kind of span
	}
	return names, err
}

func (c *remoteClient) json(ctx context.Context, path string, query url.Values, into any) error {
	body, err := c.get(ctx, path, query, "application/json")
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return c.broken(err)
	}
	return nil
}
