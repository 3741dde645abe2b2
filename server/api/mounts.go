package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/grafana"
)

const (
	noMetrics = "Start it with \"sidelight run\", or give \"sidelight server\" a collector with --collector."
	noTraces  = noMetrics
)

// mount serves another API below a prefix, or says why there is none.
func (s *Server) mount(prefix string, h http.Handler, missing string) echo.HandlerFunc {
	if h == nil {
		return func(echo.Context) error {
			return hint(missing, fmt.Errorf("there is no store behind %s: %w", prefix, mesh.ErrUnavailable))
		}
	}
	h = http.StripPrefix(prefix, h)
	return func(c echo.Context) error {
		h.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}

// getGrafana hands a request to the user's Grafana.
func (s *Server) getGrafana(c echo.Context) error {
	if s.opts.Grafana == nil {
		return hint("Start the server with --grafana-url.", fmt.Errorf("there is no Grafana behind %s: %w", grafana.Prefix, mesh.ErrUnavailable))
	}
	s.opts.Grafana.ServeHTTP(c.Response(), c.Request())
	return nil
}

// getGrafanaStatus tells at once what is known: it never waits for Grafana.
func (s *Server) getGrafanaStatus(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	status := s.opts.Grafana.Status(c.Request())
	status.Jaeger, status.Perses = s.opts.JaegerUI, s.opts.PersesUI
	return c.JSON(http.StatusOK, status)
}

// getOperators answers for the paths of the admin listener. They must not get
// the start page: a probe that asks here would be told 200 for ever.
func (s *Server) getOperators(c echo.Context) error {
	return hint("Ask the listener that --admin names.", fmt.Errorf("%s on this listener: %w", c.Request().URL.Path, mesh.ErrNotFound))
}

// getUI serves the UI's files. Its pages are addresses of their own, that the
// browser asks for when it reloads: they get the start page, but only when it
// is a page that is asked for, so that a missing script is a clear 404.
func (s *Server) getUI(c echo.Context) error {
	r := c.Request()
	if s.opts.UI == nil || strings.HasPrefix(r.URL.Path, "/api/") {
		return echo.ErrNotFound
	}
	s.opts.UI.ServeHTTP(c.Response(), r)
	return nil
}

func (s *Server) getLive(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return s.live.Serve(c.Response(), c.Request(), userOf(c))
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
