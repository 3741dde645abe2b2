package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
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

func (s *Server) getGraph(c echo.Context) error {
	now := time.Now()
	p := query(c, "group", "namespaces", "window", "at", "q")
	q := graph.Query{Namespaces: p.list("namespaces"), Window: p.duration("window", defaultWindow, minWindow, maxWindow)}
	at := p.moment("at", now)
	if p.err != nil {
		return p.err
	}
	if err := checkPast("at", at, now); err != nil {
		return err
	}
	if err := setGroupAndFind(&q, p.text("group"), p.text("q")); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.graphView(q, at))
}

// graphView is the engine's view with what is missing as a whole added.
func (s *Server) graphView(q graph.Query, at time.Time) graph.View {
	v := s.opts.Graph.View(q, at)
	if missing := s.opts.Mesh.Missing(at); len(missing) > 0 {
		v.Stale = append(slices.Clone(missing), v.Stale...)
	}
	return v
}

// setGroupAndFind reads what the address and the live socket give alike.
func setGroupAndFind(q *graph.Query, group, find string) error {
	q.Group = graph.ByWorkload
	if group != "" {
		q.Group = graph.Group(group)
	}
	if !slices.Contains(graph.Groups(), q.Group) {
		names := make([]string, 0, len(graph.Groups()))
		for _, g := range graph.Groups() {
			names = append(names, string(g))
		}
		return hint(didYouMean(group, names), fmt.Errorf("group is %q, which is none: %w", group, mesh.ErrInvalid))
	}
	if len(find) > 4096 {
		return fmt.Errorf("q is %d bytes long, at most 4096 are taken: %w", len(find), mesh.ErrInvalid)
	}
	var err error
	if q.Find, err = graph.ParseFind(find); err != nil {
		return fmt.Errorf("q: %w: %w", err, mesh.ErrInvalid)
	}
	return nil
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
