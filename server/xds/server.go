package xds

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/config"
	"google.golang.org/grpc"
)

// Options configure a Server. Store is required.
type Options struct {
	Store *config.Store
	// Cluster names the mesh cluster that endpoints are said to be in.
	Cluster    string
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

// Server serves delta ADS and the agent stream.
type Server struct{ opts Options }

// New makes a server. It serves nothing before Register and Run.
func New(opts Options) (*Server, error) { return &Server{opts: opts}, nil }

// ServerOptions are the gRPC options that a server for sidecars needs:
// keepalive enforcement, limits.
func ServerOptions() []grpc.ServerOption { return nil }

// Register adds the services to a gRPC server, before it serves.
func (s *Server) Register(g *grpc.Server) {}

// Run follows the store until ctx ends, then ends all streams.
func (s *Server) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Agents is the set of connected agent streams.
func (s *Server) Agents() *Agents { return &Agents{} }

// Target is where a connected node's metrics are scraped.
type Target struct {
	Address string
	Node    mesh.Node
}

// Targets lists the connected nodes' metrics addresses, by node ID.
func (s *Server) Targets() []Target { return nil }

// OnTargets calls fn with the list now and after each change, in order.
func (s *Server) OnTargets(fn func([]Target)) (cancel func()) { return func() {} }

// Agents is the set of connected agent streams.
type Agents struct{}

// Broadcast queues a message for every connected sidecar.
func (a *Agents) Broadcast(m *meshv1.ServerMessage) {}

// OnHello calls fn after each accepted Hello.
func (a *Agents) OnHello(fn func(mesh.Node)) {}

// OnGone calls fn when a node's stream ended.
func (a *Agents) OnGone(fn func(id string)) {}

// OnTap calls fn with each tap batch, on the stream's goroutine.
func (a *Agents) OnTap(fn func(node string, batch *meshv1.TapBatch)) {}

// Send queues a message for one node; false when it is not connected.
func (a *Agents) Send(node string, m *meshv1.ServerMessage) bool { return false }
