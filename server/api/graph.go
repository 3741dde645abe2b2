package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

// The windows that a view may sum up, and how far back one can look.
const (
	defaultWindow = 30 * time.Second
	minWindow     = 5 * time.Second
	maxWindow     = time.Hour
	historyKept   = time.Hour
	futureAllowed = 5 * time.Second // the asker's clock
)

// The bounds of what a view may be shaped to.
const (
	maxElements = 100_000
	maxHops     = 20
	maxNames    = 256 // namespaces, or nodes to expand
)

// How much a node and an edge take as JSON, rarely more.
const (
	nodeRoom = 1 << 10
	edgeRoom = 3 << 9
)

// graphParams are what a view may be asked for, by address and on the live
// socket alike.
type graphParams struct {
	Group      string   `json:"group"`
	Namespaces []string `json:"namespaces"`
	WindowS    *float64 `json:"window_s"`
	Q          string   `json:"q"`
	Hide       string   `json:"hide"`
	Filter     string   `json:"filter"`
	Max        int      `json:"max"`
	Expand     []string `json:"expand"`
	Focus      string   `json:"focus"`
	Hops       int      `json:"hops"`
	Services   bool     `json:"services"`
}

var graphParamNames = []string{"group", "namespaces", "window_s", "q", "hide", "filter", "max", "expand", "focus", "hops", "services"}

func (s *Server) getGraph(c echo.Context) error {
	now := time.Now()
	p := query(c, "group", "namespaces", "window", "at", "q", "hide", "filter", "max", "expand", "focus", "hops", "services")
	window := p.duration("window", defaultWindow, minWindow, maxWindow).Seconds()
	asked := graphParams{
		Group: p.text("group"), Namespaces: p.list("namespaces"), WindowS: &window,
		Q: p.text("q"), Hide: p.text("hide"), Filter: p.text("filter"),
		Max: p.number("max", 0, 0, maxElements), Expand: p.list("expand"), Focus: p.text("focus"), Hops: p.number("hops", 1, 1, maxHops),
		Services: p.flag("services"),
	}
	at := p.moment("at", now)
	if p.err != nil {
		return p.err
	}
	q, key, err := asked.query()
	if err != nil {
		return err
	}
	if p.text("at") == "" {
		return s.shared(c, "graph?"+key, now, func(now time.Time) []byte { return encodeView(s.graphView(q, now)) })
	}
	v, err := s.viewAt(c.Request().Context(), "at", q, at, now)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, encodeView(v))
}

func encodeView(v graph.View) []byte {
	b := make([]byte, 0, 1024+len(v.Nodes)*nodeRoom+len(v.Edges)*edgeRoom)
	return append(v.AppendJSON(b), '\n')
}

// viewAt gives the graph of a moment: from the rings where they reach back so
// far, else from the store.
func (s *Server) viewAt(ctx context.Context, name string, q graph.Query, at, now time.Time) (graph.View, error) {
	if at.After(now.Add(futureAllowed)) {
		return graph.View{}, fmt.Errorf("%s is %s, which is to come: %w", name, at.Format(time.RFC3339), mesh.ErrInvalid)
	}
	since := s.opts.Graph.Since()
	if begin := at.Add(-q.Window); !since.IsZero() && !begin.Before(since) && !begin.Before(now.Add(-historyKept)) {
		return s.graphView(q, at), nil
	}
	return s.opts.Mesh.Past(ctx, q, at)
}

// getGraphDiff compares the graphs of two times.
func (s *Server) getGraphDiff(c echo.Context) error {
	now := time.Now()
	p := query(c, "from", "to", "group", "namespaces", "window", "focus", "hops")
	window := p.duration("window", defaultWindow, minWindow, maxWindow).Seconds()
	asked := graphParams{
		Group: p.text("group"), Namespaces: p.list("namespaces"), WindowS: &window,
		Focus: p.text("focus"), Hops: p.number("hops", 1, 1, maxHops),
	}
	from, to := p.moment("from", time.Time{}), p.moment("to", now)
	if p.text("from") == "" {
		p.fail("Give the time to compare with, like from=2026-01-02T15:04:05Z.", "parameter %q is missing", "from")
	}
	if p.err == nil && !from.Before(to) {
		p.fail("", "from is %s, which is not before to, %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	if p.err != nil {
		return p.err
	}
	q, _, err := asked.query()
	if err != nil {
		return err
	}
	before, err := s.viewAt(c.Request().Context(), "from", q, from, now)
	if err != nil {
		return err
	}
	after, err := s.viewAt(c.Request().Context(), "to", q, to, now)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, graph.DiffOf(before, after, s.opts.Mesh.Markers(from, to)))
}

// query checks the parameters. Equal keys mean the same view.
func (p *graphParams) query() (q graph.Query, key string, err error) {
	q = graph.Query{Group: graph.ByWorkload, Window: defaultWindow, Most: p.Max, Focus: p.Focus, Hops: max(p.Hops, 1), ServiceNodes: p.Services}
	if p.Group != "" {
		q.Group = graph.Group(p.Group)
	}
	if !slices.Contains(graph.Groups(), q.Group) {
		names := make([]string, 0, len(graph.Groups()))
		for _, g := range graph.Groups() {
			names = append(names, string(g))
		}
		return q, "", hint(didYouMean(p.Group, names), fmt.Errorf("group is %q, which is none: %w", p.Group, mesh.ErrInvalid))
	}
	if p.WindowS != nil {
		if *p.WindowS < minWindow.Seconds() || *p.WindowS > maxWindow.Seconds() {
			return q, "", fmt.Errorf("window_s is %g, must be %g to %g: %w", *p.WindowS, minWindow.Seconds(), maxWindow.Seconds(), mesh.ErrInvalid)
		}
		q.Window = time.Duration(*p.WindowS * float64(time.Second))
	}
	if p.Max < 0 || p.Max > maxElements || q.Hops > maxHops {
		return q, "", fmt.Errorf("max is %d and hops %d, at most %d and %d are taken: %w", p.Max, p.Hops, maxElements, maxHops, mesh.ErrInvalid)
	}
	for name, list := range map[string]*[]string{"namespaces": &p.Namespaces, "expand": &p.Expand} {
		if len(*list) > maxNames {
			return q, "", fmt.Errorf("%s has %d entries, at most %d are taken: %w", name, len(*list), maxNames, mesh.ErrInvalid)
		}
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	q.Namespaces, q.Expand = p.Namespaces, p.Expand
	if err := p.expressions(&q); err != nil {
		return q, "", err
	}
	text, err := json.Marshal([]any{q.Group, q.Namespaces, q.Window, p.Q, p.Hide, p.Filter, q.Most, q.Expand, q.Focus, q.Hops, q.ServiceNodes})
	if err != nil {
		return q, "", fmt.Errorf("name the view: %w", err)
	}
	return q, string(text), nil
}

func (p *graphParams) expressions(q *graph.Query) error {
	for _, x := range []struct {
		name string
		text *string
		into **expr.Expr
	}{{"q", &p.Q, &q.Find}, {"hide", &p.Hide, &q.Hide}, {"filter", &p.Filter, &q.Filter}} {
		*x.text = strings.TrimSpace(*x.text)
		if len(*x.text) > 4096 {
			return fmt.Errorf("%s is %d bytes long, at most 4096 are taken: %w", x.name, len(*x.text), mesh.ErrInvalid)
		}
		e, err := graph.ParseFind(*x.text)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", x.name, err, mesh.ErrInvalid)
		}
		*x.into = e
	}
	return nil
}

// graphView is the engine's view with what is missing as a whole added.
func (s *Server) graphView(q graph.Query, at time.Time) graph.View {
	v := s.opts.Graph.View(q, at)
	if missing := s.opts.Mesh.Missing(at); len(missing) > 0 {
		v.Stale = append(slices.Clone(missing), v.Stale...)
	}
	return v
}

func checkPast(name string, at, now time.Time) error {
	switch {
	case at.After(now.Add(futureAllowed)):
		return fmt.Errorf("%s is %s, which is to come: %w", name, at.Format(time.RFC3339), mesh.ErrInvalid)
	case at.Before(now.Add(-historyKept)):
		return hint("Older figures are in the metrics store: /prometheus/api/v1/query_range.",
			fmt.Errorf("%s is %s, the graph goes back to %s: %w", name, at.Format(time.RFC3339), now.Add(-historyKept).UTC().Format(time.RFC3339), mesh.ErrInvalid))
	}
	return nil
}

func (s *Server) getTimeline(c echo.Context) error {
	now := time.Now()
	p := query(c, "window", "until")
	window := p.duration("window", 30*time.Minute, time.Minute, historyKept)
	until := p.moment("until", now)
	if p.err != nil {
		return p.err
	}
	if err := checkPast("until", until, now); err != nil {
		return err
	}
	markers := s.opts.Mesh.Markers(until.Add(-window), until)
	return c.JSON(http.StatusOK, s.opts.Graph.Timeline(window, until, markers))
}
