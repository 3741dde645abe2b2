package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/api/live"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/grafana"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/observe"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
)

// Graph is the live graph.
type Graph interface {
	View(q graph.Query, at time.Time) graph.View
	Timeline(window time.Duration, until time.Time, markers []graph.Marker) graph.Timeline
	Standings(at time.Time) []graph.Standing
	// Since tells from when on there is data; zero: there is none.
	Since() time.Time
}

// Nodes is the configuration state of the nodes.
type Nodes interface {
	View(at time.Time) skew.NodesView
	Node(id string, at time.Time) (skew.NodeDetail, bool)
	History(id string, window time.Duration, at time.Time) ([]skew.Transition, bool)
	Lineage(objects []string, since uint64, at time.Time) []skew.LineageNode
	Lacking(since map[string]uint64, at time.Time) []skew.Lack
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
	Diff(from, to uint64) ([]config.ObjectDiff, error)
	DiffText(yaml []byte) ([]config.ObjectDiff, error)
	Decode(yaml []byte) ([]*config.Object, error)
	Rollback(ctx context.Context, revision uint64, by string) (config.Applied, error)
}

// Mesh is what the running server as a whole knows.
type Mesh interface {
	// Services lists the registry.
	Services() []ServiceEntry
	// Markers lists the events of a time range, oldest first.
	Markers(from, until time.Time) []graph.Marker
	// Cost gives the newest figures on what the mesh itself takes.
	Cost() Cost
	// NodeCosts gives the newest figures of each sidecar, by node ID.
	NodeCosts() map[string]Cost
	// Outliers lists what sidecars keep from clusters now.
	Outliers() []graph.Outlier
	// Ejections lists what outlier detection did for a host lately, oldest first.
	Ejections(host string) []EjectionEvent
	// Policies lists the objects that only sidecars carry out.
	Policies() []graph.Policy
	// Missing tells which parts of the data are not there at all, as sources
	// that never answered.
	Missing(at time.Time) []graph.Stale
	// Past gives the graph of a time before the live one's, from the store. The
	// window may come out longer than asked for.
	Past(ctx context.Context, q graph.Query, at time.Time) (graph.View, error)
	// Status counts.
	Status(at time.Time) Status
	// ScrapeTargets lists the metrics endpoints of connected nodes.
	ScrapeTargets() []ScrapeTarget
}

// Tap opens tap sessions.
type Tap interface {
	Open(tap.Request) (*tap.Viewer, error)
	// Sessions lists who looks and who looked.
	Sessions() []tap.Record
	// Stop ends the view of that ID.
	Stop(id, by string) error
}

// Stages are how far the newest revision may go.
type Stages interface {
	State() rollout.State
	Hold(by, why string) (rollout.State, error)
	Resume(by string) (rollout.State, error)
}

// Observed is what other control planes and proxies say.
type Observed interface {
	View() ([]observe.Node, []observe.Source)
}

// Alerts are the alerting rules and what fires.
type Alerts interface {
	View(at time.Time) alert.View
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
	// Authority may be nil.
	Authority Authority
	Stages    Stages
	Observed  Observed
	Alerts    Alerts // nil: none are evaluated by this process

	Prometheus http.Handler // relative to /api/v1/...
	Jaeger     http.Handler // relative to /api/...
	UI         http.Handler
	Grafana    *grafana.Proxy // nil: none is set
	// JaegerUI and PersesUI are linked to from the UI; "" without.
	JaegerUI, PersesUI string

	Explain Explainer // nil: nothing explains

	// Access says who may do what; nil: as auth.Open without a file.
	Access *auth.Access
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
	views   views
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
	if opts.Access == nil {
		if opts.Access, err = auth.Open("", opts.Logger); err != nil {
			return nil, err
		}
	}
	metrics, err := newRequestMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register API metrics: %w", err)
	}
	s := &Server{opts: opts, metrics: metrics}
	s.live = live.New(live.Options{
		States:  map[string]live.StateChannel{"graph": s.graphChannel, "nodes": s.nodesChannel, "overview": s.overviewChannel, "alerts": s.alertsChannel},
		Events:  map[string]live.EventChannel{"tap": s.tapChannel},
		Permit:  func(user auth.User) error { return opts.Access.May(user, auth.View) },
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
	status, e := describe(err)
	if status == http.StatusInternalServerError {
		s.opts.Logger.Error("live subscription failed", "error", err)
	}
	return e
}

// ServeHTTP makes the server a handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Run keeps the live views moving until ctx ends, then closes all sockets.
func (s *Server) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { s.views.run(ctx) })
	running.Go(func() { s.recheck(ctx) })
	s.live.Run(ctx)
	running.Wait()
}

// recheck holds what is open against each new set of access rules, until ctx ends.
func (s *Server) recheck(ctx context.Context) {
	for {
		changed := s.opts.Access.Changed()
		s.live.Recheck() // also for a change that came before this was asked for
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// LiveStats gives the live socket's figures.
func (s *Server) LiveStats() live.Stats { return s.live.Stats() }
