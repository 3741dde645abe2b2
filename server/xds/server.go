package xds

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	deltaserver "github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Store is where the desired configuration comes from: *config.Store.
type Store interface {
	// Subscribe calls fn with the present state before it returns, then with
	// each later revision, in order and one at a time.
	Subscribe(fn func(config.Snapshot)) (cancel func())
}

// Tracker hears what happens to each node's configuration: *skew.Tracker, whose
// documentation is the contract. It is called with the server's lock held, so
// it must not call back.
type Tracker interface {
	Accepted(rev mesh.Revision)
	Desired(nodeID string, revision uint64, res []skew.Resource, at time.Time)
	Connected(node mesh.Node, conn string, at time.Time)
	Disconnected(nodeID, conn, reason string, at time.Time)
	Holds(nodeID, conn string, refs []skew.ResourceRef, at time.Time)
	Sent(nodeID, conn, nonce string, refs []skew.ResourceRef, at time.Time)
	Acked(nodeID, conn, nonce string, at time.Time)
	Nacked(nodeID, conn, nonce, message string, at time.Time)
	Applied(nodeID string, res []skew.AppliedResource, revision uint64, at time.Time)
	Described(node mesh.Node, at time.Time)
	Seen(nodeID string, at time.Time)
}

// Options configure a Server. Store and Tracker are required.
type Options struct {
	Store   Store
	Tracker Tracker
	// Cluster names the mesh cluster that endpoints are said to be in.
	Cluster string
	// MaxStreams bounds the configuration streams, and the agent streams; 0
	// means 20,000.
	MaxStreams int
	// Remember is how long a node that is gone is still compiled for, so that
	// it is known how far behind it is; 0 means one hour.
	Remember   time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Tracker == nil {
		return fmt.Errorf("xds server needs a store and a tracker: %w", mesh.ErrInvalid)
	}
	o.MaxStreams = cmp.Or(o.MaxStreams, 20_000)
	o.Remember = cmp.Or(o.Remember, time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Server serves delta ADS and the agent stream. It is safe for concurrent use.
type Server struct {
	opts    Options
	metrics *metrics
	delta   deltaserver.Server
	agents  *Agents
	stop    context.CancelFunc // ends the streams
	leave   func()             // leaves the store

	// mu guards all below. It is held for computing and for handing responses to
	// streams' queues, never for sending.
	mu         sync.Mutex
	world      *world
	revisionAt time.Time
	namespaces map[string]*set
	nodes      map[string]*node
	streams    map[int64]*stream
	handed     map[*discoveryv3.DeltaDiscoveryRequest]*stream // from the callback to the watch, see stream.go
}

// node is one node that is or was connected.
type node struct {
	proxy   *proxy
	own     *set
	view    *view
	streams int
	goneAt  time.Time // when streams became 0
}

// New makes a server and compiles the present configuration. Run must be called
// for its end.
func New(opts Options) (*Server, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		opts: opts, metrics: newMetrics(opts.Registerer), stop: stop,
		namespaces: map[string]*set{}, nodes: map[string]*node{}, streams: map[int64]*stream{},
		handed: map[*discoveryv3.DeltaDiscoveryRequest]*stream{},
	}
	s.agents = newAgents(opts, s.metrics)
	s.delta = deltaserver.NewServer(ctx, watches{s}, callbacks{s})
	s.leave = opts.Store.Subscribe(s.update)
	return s, nil
}

// ServerOptions are the gRPC options that a server for sidecars needs. Sidecars
// ping every 10 s or slower, also between streams; a silent one is pinged, and
// dropped when it does not answer.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.MaxRecvMsgSize(16 << 20),
		grpc.MaxConcurrentStreams(100),
		grpc.MaxHeaderListSize(16 << 10),
	}
}

// Register adds the services to a gRPC server, before it serves.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, ads{server: s})
	meshv1.RegisterAgentServer(g, s.agents)
}

// Run forgets nodes that are long gone until ctx ends; then it ends all streams
// and waits for what they started.
func (s *Server) Run(ctx context.Context) error {
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	for {
		select {
		case <-sweep.C:
			s.forget(s.opts.Now())
		case <-ctx.Done():
			s.leave()
			s.stop()
			s.agents.close()
			return nil
		}
	}
}

// Agents is the set of connected agent streams.
func (s *Server) Agents() *Agents { return s.agents }

// Resources lists what a node should run, by type and name; mesh.ErrNotFound
// when no such node is known. They are shared and must not be changed.
func (s *Server) Resources(nodeID string) ([]*Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID]
	if n == nil {
		return nil, fmt.Errorf("node %q: %w", nodeID, mesh.ErrNotFound)
	}
	out := []*Resource{}
	for t := range typeCount {
		n.view.each(t, func(r *Resource) bool {
			out = append(out, r)
			return true
		})
	}
	slices.SortFunc(out, func(a, b *Resource) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name)) })
	return out, nil
}

// update takes a new state of the configuration: compiles it for every known
// node, tells the tracker what each should run, and offers the difference to
// the streams.
func (s *Server) update(snapshot config.Snapshot) {
	start := time.Now()
	w := newWorld(snapshot, s.opts.Cluster) // not under the lock: streams go on meanwhile

	s.mu.Lock()
	defer s.mu.Unlock()
	s.world, s.revisionAt = w, snapshot.Revision.At
	s.opts.Tracker.Accepted(snapshot.Revision)
	before := s.namespaces
	s.namespaces = map[string]*set{}
	now := s.opts.Now()
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		s.compile(s.nodes[id], before, now)
	}
	s.metrics.compile.Observe(time.Since(start).Seconds())
	for _, st := range s.streams {
		st.offer()
	}
}

// compile makes a node's view of the present state and tells the tracker.
// before holds the namespaces of the state before.
func (s *Server) compile(n *node, before map[string]*set, now time.Time) {
	ns := n.proxy.node.Workload.Namespace
	shared := s.namespaces[ns]
	if shared == nil {
		shared = s.world.namespace(ns)
		shared.settle(before[ns], s.world.revision, s.world.newest)
		s.namespaces[ns] = shared
	}
	own := s.world.node(n.proxy)
	own.settle(n.own, s.world.revision, s.world.newest)
	n.own = own
	n.view = newView(s.world.revision, shared, own, n.view)
	s.opts.Tracker.Desired(n.proxy.node.ID, s.world.revision, n.view.desired, now)
}

// connect notes a stream of a node, which is made when it is not known. A node
// that comes back may have changed its ports: its newest word counts.
func (s *Server) connect(p *proxy, now time.Time) *node {
	n := s.nodes[p.node.ID]
	if n == nil {
		n = &node{}
		s.nodes[p.node.ID] = n
	}
	n.proxy = p
	n.streams++
	s.compile(n, nil, now)
	s.metrics.nodes.Set(float64(s.connected()))
	return n
}

func (s *Server) disconnect(n *node, now time.Time) {
	n.streams--
	if n.streams == 0 {
		n.goneAt = now
	}
	s.metrics.nodes.Set(float64(s.connected()))
}

func (s *Server) connected() int {
	count := 0
	for _, n := range s.nodes {
		if n.streams > 0 {
			count++
		}
	}
	return count
}

func (s *Server) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[string]bool{}
	for id, n := range s.nodes {
		if n.streams == 0 && now.Sub(n.goneAt) > s.opts.Remember {
			delete(s.nodes, id)
			continue
		}
		used[n.proxy.node.Workload.Namespace] = true
	}
	maps.DeleteFunc(s.namespaces, func(ns string, _ *set) bool { return !used[ns] })
}
