package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/trace"
)

// arrivalTime is how long the spans of a trace may take to come in from all
// sidecars. What began later is left out of a search, unless it says until when
// it looks: half a trace at the head of every list would only mislead.
const arrivalTime = 2 * time.Second

var statusForm = regexp.MustCompile(`^([1-5]xx|[1-5][0-9][0-9])$`)

// searchParameters are those that traceQuery reads.
var searchParameters = []string{
	"service", "operation", "workload", "source", "target", "route", "status", "errors", "clean",
	"min_ms", "max_ms", "percentile", "from", "to", "limit", "tag",
}

func (s *Server) searchTraces(c echo.Context) error {
	p := query(c, searchParameters...)
	q, band := p.traceQuery(20, 1000)
	if p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	q, err = within(c.Request().Context(), store, q, band)
	if err != nil {
		return fmt.Errorf("search traces: %w", err)
	}
	found, err := store.Search(c.Request().Context(), q)
	if err != nil {
		return fmt.Errorf("search traces: %w", err)
	}
	found.Traces = listOf(found.Traces)
	return c.JSON(http.StatusOK, found)
}

// traceQuery reads a search, and the percentile band of it that is wanted.
func (p *params) traceQuery(limit, most int) (traces.Query, trace.Band) {
	q := traces.Query{
		Service: p.text("service"), Operation: p.text("operation"), Route: p.text("route"),
		Workload: p.workload("workload"), Source: p.workload("source"), Target: p.workload("target"),
		Status: strings.ToLower(p.text("status")), Errors: p.flag("errors"), Clean: p.flag("clean"), Tags: p.pairs("tag"),
		MinDuration: p.millis("min_ms"), MaxDuration: p.millis("max_ms"),
		From: p.moment("from", time.Time{}), To: p.moment("to", time.Time{}),
		Limit: p.number("limit", limit, 1, most),
	}
	band, err := trace.ParseBand(p.text("percentile"))
	if err != nil {
		p.fail("Write it like 95..100.", "parameter \"percentile\": %v", err)
	}
	if q.Status != "" && !statusForm.MatchString(q.Status) {
		p.fail("Write it like 503 or 5xx.", "parameter \"status\" is %q, not an HTTP status", q.Status)
	}
	if q.MaxDuration > 0 && q.MinDuration > q.MaxDuration {
		p.fail("", "min_ms is greater than max_ms")
	}
	if !q.To.IsZero() && q.From.After(q.To) {
		p.fail("", "from is after to")
	}
	if q.To.IsZero() {
		q.To = time.Now().Add(-arrivalTime)
	}
	return q, band
}

// bandSample is how many of the newest traces a percentile is taken of.
const bandSample = 1000

// within narrows a search to a percentile band of what it finds.
func within(ctx context.Context, store traces.Querier, q traces.Query, band trace.Band) (traces.Query, error) {
	if band.Whole() {
		return q, nil
	}
	sample := q
	sample.Limit = bandSample
	found, err := store.Search(ctx, sample)
	if err != nil {
		return q, err
	}
	if least, most, ok := band.Durations(found.Traces); ok {
		q.MinDuration, q.MaxDuration = max(q.MinDuration, least), most
	}
	return q, nil
}

// compareTraces tells what differs between two traces or two searches.
func (s *Server) compareTraces(c echo.Context) error {
	p := query(c, "a", "b", "limit")
	limit := p.number("limit", 100, 1, 500)
	if p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	var study trace.ComparisonStudy
	for _, side := range []struct {
		name string
		add  func(traces.Trace)
	}{{"a", study.AddA}, {"b", study.AddB}} {
		for t, err := range s.side(c.Request().Context(), store, side.name, p.text(side.name), limit) {
			if err != nil {
				return err
			}
			side.add(t)
		}
	}
	return c.JSON(http.StatusOK, study.Compare())
}

var traceIDForm = regexp.MustCompile(`^[0-9a-fA-F]{1,32}$`)

// side gives the traces of one side of a comparison: one by its ID, or those
// of a search whose parameters are given as a query.
func (s *Server) side(ctx context.Context, store traces.Querier, name, text string, limit int) iter.Seq2[traces.Trace, error] {
	return func(yield func(traces.Trace, error) bool) {
		if traceIDForm.MatchString(text) {
			t, err := store.Get(ctx, text)
			if err != nil {
				err = fmt.Errorf("compare traces: %w", err)
			}
			yield(t, err)
			return
		}
		values, err := url.ParseQuery(text)
		p := &params{values: values}
		if err != nil || len(values) == 0 {
			p.fail("Give a trace's ID, or the parameters of a search, like service=web&errors=true.", "parameter %q is %q: neither", name, text)
		}
		for key := range values {
			if !slices.Contains(searchParameters, key) {
				p.fail(didYouMean(key, searchParameters), "parameter %q: unknown parameter %q", name, key)
			}
		}
		q, band := p.traceQuery(limit, 500)
		if err := p.err; err != nil {
			yield(traces.Trace{}, err)
			return
		}
		if q, err = within(ctx, store, q, band); err != nil {
			yield(traces.Trace{}, fmt.Errorf("compare traces: %w", err))
			return
		}
		store.Stream(ctx, q)(yield)
	}
}

func (s *Server) getTrace(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	t, err := store.Get(c.Request().Context(), c.Param("id"))
	if err != nil {
		return fmt.Errorf("get trace: %w", err)
	}
	return c.JSON(http.StatusOK, trace.Analyze(t))
}

// getPropagation reads the newest traces, and says who passes trace headers on.
func (s *Server) getPropagation(c echo.Context) error {
	p := query(c, "workload", "from", "to", "limit")
	q := traces.Query{
		Workload: p.workload("workload"), From: p.moment("from", time.Time{}), To: p.moment("to", time.Now().Add(-arrivalTime)),
		Limit: p.number("limit", 500, 1, 1000),
	}
	if p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	var study trace.PropagationStudy
	for t, err := range store.Stream(c.Request().Context(), q) {
		if err != nil {
			return fmt.Errorf("read traces: %w", err)
		}
		study.Add(t)
	}
	found := study.Judge()
	if q.Workload != "" {
		found.Workloads = slices.DeleteFunc(found.Workloads, func(w trace.Passing) bool { return w.Workload != q.Workload })
	}
	return c.JSON(http.StatusOK, found)
}

func (s *Server) getTraceServices(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	names, err := store.Services(c.Request().Context())
	if err != nil {
		return fmt.Errorf("list services with traces: %w", err)
	}
	return c.JSON(http.StatusOK, map[string][]string{"services": listOf(names)})
}

func (s *Server) getTraceOperations(c echo.Context) error {
	p := query(c, "service")
	if p.text("service") == "" {
		p.fail("GET /api/v1/traces/services lists them.", "parameter \"service\" is missing")
	}
	if p.err != nil {
		return p.err
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	names, err := store.Operations(c.Request().Context(), p.text("service"))
	if err != nil {
		return fmt.Errorf("list operations of %s: %w", p.text("service"), err)
	}
	return c.JSON(http.StatusOK, map[string][]string{"operations": listOf(names)})
}

func (s *Server) traceStore() (traces.Querier, error) {
	if s.opts.Traces == nil {
		return nil, hint(noTraces, fmt.Errorf("this server has no trace store: %w", mesh.ErrUnavailable))
	}
	return s.opts.Traces, nil
}

// workload reads "namespace/name".
func (p *params) workload(name string) string {
	text := p.values.Get(name)
	if text == "" {
		return ""
	}
	if ns, n, ok := strings.Cut(text, "/"); !ok || ns == "" || n == "" {
		p.fail("Write it like cinema/catalog-v1.", "parameter %q is %q, not namespace/name", name, text)
	}
	return text
}
