package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api/live"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

// Graph is the live graph.
type Graph interface {
	View(q graph.Query, at time.Time) graph.View
	Timeline(window time.Duration, until time.Time, markers []graph.Marker) graph.Timeline
}

// Nodes is the configuration state of the nodes.
type Nodes interface {
	View(at time.Time) skew.NodesView
	Node(id string, at time.Time) (skew.NodeDetail, bool)
	History(id string, window time.Duration, at time.Time) ([]skew.Transition, bool)
}

// Config is the desired configuration.
type Config interface {
	Objects() []*config.Object
	Object(key config.Key) (*config.Object, error)
	Problems() []config.Problem
	Revisions(limit int) []mesh.Revision
	Revision(n uint64) (mesh.Revision, error)
	Apply(ctx context.Context, yaml []byte, by string) (config.Applied, error)
	Delete(ctx context.Context, key config.Key, by string) (config.Applied, error)
	Validate(yaml []byte) []config.Problem
}

// Mesh is what the running server as a whole knows.
type Mesh interface {
	// Services lists the registry.
	Services() []ServiceEntry
	// Markers lists the events of a time range, oldest first.
	Markers(from, until time.Time) []graph.Marker
	// Cost gives the newest figures on what the mesh itself takes.
	Cost() Cost
	// Missing tells which parts of the data are not there at all, as sources
	// that never answered.
	Missing(at time.Time) []graph.Stale
	// Status counts.
	Status(at time.Time) Status
	// ScrapeTargets lists the metrics endpoints of connected nodes.
	ScrapeTargets() []ScrapeTarget
}

// Tap opens tap sessions.
type Tap interface {
	Open(tap.Request) (*tap.Viewer, error)
}

// Options are the parts behind the API. Traces, Prometheus, Jaeger and UI may
// be nil; their routes then say what is missing.
type Options struct {
	Graph  Graph
	Nodes  Nodes
	Config Config
	Mesh   Mesh
	Tap    Tap
	Traces traces.Querier

	Prometheus http.Handler // relative to /api/v1/...
	Jaeger     http.Handler // relative to /api/...
	UI         http.Handler

	// Hosts are the names besides loopback that requests may be addressed to.
	Hosts      []string
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Server serves the API.
type Server struct {
	opts    Options
	live    *live.Hub
	metrics *requestMetrics
	handler http.Handler
}

// requestTime bounds how long an ordinary request may take.
const requestTime = 20 * time.Second

// New makes a server.
func New(opts Options) (*Server, error) {
	hosts, err := parseHosts(opts.Hosts)
	if err != nil {
		return nil, err
	}
	metrics, err := newRequestMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register API metrics: %w", err)
	}
	s := &Server{opts: opts, metrics: metrics}
	s.live = live.New(live.Options{
		States:  map[string]live.StateChannel{"graph": s.graphChannel, "nodes": s.nodesChannel, "overview": s.overviewChannel},
		Events:  map[string]live.EventChannel{"tap": s.tapChannel},
		Explain: s.explainLive,
		Logger:  opts.Logger,
	})
	e := echo.New()
	e.HTTPErrorHandler = s.fail
	s.routes(e)
	compress, err := compression()
	if err != nil {
		return nil, fmt.Errorf("set up compression: %w", err)
	}
	s.handler = securityHeaders(s.guard(hosts, compress(e), e))
	return s, nil
}

func (s *Server) explainLive(err error) any {
	status, e := explain(err)
	if status == http.StatusInternalServerError {
		s.opts.Logger.Error("live subscription failed", "error", err)
	}
	return e
}

// ServeHTTP makes the server a handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run keeps the live views moving until ctx ends, then closes all sockets.
func (s *Server) Run(ctx context.Context) { s.live.Run(ctx) }

// LiveStats gives the live socket's figures.
func (s *Server) LiveStats() live.Stats { return s.live.Stats() }
