package api

import (
	"fmt"
	"net/http"
	"regexp"
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

func (s *Server) searchTraces(c echo.Context) error {
	p := query(c, "service", "operation", "workload", "source", "target", "route", "status", "errors",
		"min_ms", "max_ms", "from", "to", "limit", "tag")
	q := traces.Query{
		Service: p.text("service"), Operation: p.text("operation"), Route: p.text("route"),
		Workload: p.workload("workload"), Source: p.workload("source"), Target: p.workload("target"),
		Status: strings.ToLower(p.text("status")), Errors: p.flag("errors"), Tags: p.pairs("tag"),
		MinDuration: p.millis("min_ms"), MaxDuration: p.millis("max_ms"),
		From: p.moment("from", time.Time{}), To: p.moment("to", time.Time{}),
		Limit: p.number("limit", 20, 1, 1000),
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
	if p.err != nil {
		return p.err
	}
	if q.To.IsZero() {
		q.To = time.Now().Add(-arrivalTime)
	}
	store, err := s.traceStore()
	if err != nil {
		return err
	}
	found, err := store.Search(c.Request().Context(), q)
	if err != nil {
		return fmt.Errorf("search traces: %w", err)
	}
	found.Traces = listOf(found.Traces)
	return c.JSON(http.StatusOK, found)
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
