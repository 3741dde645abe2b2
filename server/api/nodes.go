package api

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/observe"
)

func (s *Server) getNodes(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, s.opts.Nodes.View(time.Now()))
}

func (s *Server) getNode(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	id, err := pathParam(c, "id")
	if err != nil {
		return err
	}
	detail, ok := s.opts.Nodes.Node(id, time.Now())
	if !ok {
		return noNode(id)
	}
	return c.JSON(http.StatusOK, detail)
}

func (s *Server) getNodeHistory(c echo.Context) error {
	p := query(c, "window")
	window := p.duration("window", time.Hour, time.Minute, 24*time.Hour)
	if p.err != nil {
		return p.err
	}
	id, err := pathParam(c, "id")
	if err != nil {
		return err
	}
	history, ok := s.opts.Nodes.History(id, window, time.Now())
	if !ok {
		return noNode(id)
	}
	return c.JSON(http.StatusOK, listOf(history))
}

// observedList is what other control planes and proxies say.
type observedList struct {
	Nodes   []observe.Node   `json:"nodes"` // worst first
	Sources []observe.Source `json:"sources"`
}

func (s *Server) getObserved(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	nodes, sources := s.opts.Observed.View()
	return c.JSON(http.StatusOK, observedList{nodes, sources})
}

func noNode(id string) error {
	return hint("GET /api/v1/nodes lists them, with those that are not connected.",
		fmt.Errorf("node %q: %w", id, mesh.ErrNotFound))
}

// pathParam reads a part of the path that may hold an escaped slash.
func pathParam(c echo.Context, name string) (string, error) {
	raw := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return raw, nil // decoded with the path
	}
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", fmt.Errorf("path: %w: %w", err, mesh.ErrInvalid)
	}
	return text, nil
}

// listOf keeps null out of answers.
func listOf[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
