package xds

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	alsv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
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
	Hold(nodeID string, revision uint64, at time.Time)
	Desired(nodeID string, revision uint64, parts [][]skew.Resource, at time.Time)
	Connected(node mesh.Node, conn, peer string, at time.Time)
	Disconnected(nodeID, conn, reason string, at time.Time)
	Holds(nodeID, conn string, refs []skew.ResourceRef, at time.Time)
	Sent(nodeID, conn, nonce string, refs []skew.ResourceRef, at time.Time)
	Acked(nodeID, conn, nonce string, at time.Time)
	Nacked(nodeID, conn, nonce, message string, at time.Time)
	Applied(nodeID string, res []skew.AppliedResource, revision uint64, at time.Time)
	AppliedSince(nodeID string, changed []skew.AppliedResource, revision uint64, at time.Time)
	Described(node mesh.Node, at time.Time)
	Identified(nodeID string, id mesh.Identity, at time.Time)
	Lived(nodeID string, life mesh.Life, at time.Time)
	Seen(nodeID string, at time.Time)
}

// Options configure a Server. Store and Tracker are required.
type Options struct {
	Store   Store
	Tracker Tracker
	// Stages holds nodes back while a revision is rolled out; nil: nobody is.
	Stages Stages
	// Content gives the objects of an earlier revision, to hold nodes at it over
	// a restart; nil: none are kept.
	Content func(revision uint64) ([]*config.Object, error)
	// Status is what client status (CSDS) is served from; nil: it is not served.
	Status Status
	// Cluster names the mesh cluster that endpoints are said to be in.
	Cluster string
	// Security names the mesh's trust domain and root namespace.
	Security Security
	// MaxStreams bounds the configuration streams, and the agent streams; 0
	// means 20,000.
	MaxStreams int
	// Remember is how long a node that is gone is still compiled for, so that
	// it is known how far behind it is; 0 means one hour.
	Remember   time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	// Observe hears how long StageCompile and StageSend took; nil: nobody.
	Observe func(stage string, took time.Duration)
	Now     func() time.Time // nil: time.Now
	// AccessLog hears what Envoys log; nil: their logs are not taken.
	AccessLog AccessLog
	Fault     Fault
}

func (o *Options) setDefaults() error {
	if o.Store == nil || o.Tracker == nil {
		return fmt.Errorf("xds server needs a store and a tracker: %w", mesh.ErrInvalid)
	}
	if o.Stages == nil {
		o.Stages = everybody{}
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

// Server serves ADS, both forms, REST, client status and the agent stream. It is safe for concurrent use.
type Server struct {
	opts    Options
	metrics *metrics
	agents  *Agents
	leave   func() // leaves the store

	// mu guards all below. It is held for computing and for handing responses to
	// streams' queues, never for sending.
	mu         sync.Mutex
	world      *world
	base       *generation // what held nodes stay at; nil: none are held
	revisionAt time.Time
	shared     map[sharing]*set
	nodes      map[string]*node
	streams    map[int64]*stream
	sotw       map[int64]*sotwStream
	pollers    map[string]*poller // by node ID
	lastStream int64
	names      nameSets          // that streams ask for
	changes    map[pair][]string // since the newest generation, see changed
	live       int               // nodes with a stream
	turns      []pusher          // see Fault.PushPause
}

// node is one node that is or was connected.
type node struct {
	proxy    *proxy
	own      *set
	of       *world // that own was compiled of,
	compiled *proxy // for this form of the node
	view     *view
	held     uint64      // revision that the roll-out keeps it at; 0: none
	asks     *sotwStream // of a client that names what it wants: the newest stream
	streams  int
	goneAt   time.Time // when streams became 0
}

// New makes a server and compiles the present configuration. Run must be called
// for its end.
func New(opts Options) (*Server, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	s := &Server{
		opts: opts, metrics: newMetrics(opts.Registerer, opts.Observe),
		shared: map[sharing]*set{}, nodes: map[string]*node{}, streams: map[int64]*stream{}, sotw: map[int64]*sotwStream{}, pollers: map[string]*poller{},
		changes: map[pair][]string{}, names: newNameSets(),
	}
	s.agents = newAgents(opts, s.metrics)
	s.leave = opts.Store.Subscribe(s.update)
	return s, nil
}

// ServerOptions are the gRPC options that a server for sidecars needs. Sidecars
// ping every 10 s or slower, also between streams; a silent one is pinged, and
// dropped when it does not answer. Most of the time thousands of connections have
// nothing to say, and then hold no buffer: what is read with is there while there
// is something to read, of connections that let gRPC wait so (TCP does). It is
// larger than a frame of HTTP/2: past a smaller one gRPC reads straight into the
// frame, which it then keeps until it reads so again.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ReadBufferSize(32 << 10),
		grpc.WriteBufferSize(8 << 10),
		grpc.MaxRecvMsgSize(16 << 20),
		grpc.MaxConcurrentStreams(100),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.HeaderTableSize(0), // of headers that come once there is nothing to remember
	}
}

// Register adds the services to a gRPC server, before it serves.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, ads{server: s})
	meshv1.RegisterAgentServer(g, s.agents)
	alsv3.RegisterAccessLogServiceServer(g, accessLog{server: s})
}

// RegisterStatus adds client status to a gRPC server. It shows every node, and
// so belongs to a listener of operators', not to one that any node reaches.
func (s *Server) RegisterStatus(g grpc.ServiceRegistrar) {
	if s.opts.Status != nil {
		statusv3.RegisterClientStatusDiscoveryServiceServer(g, csds{server: s})
	}
}

// Run forgets nodes that are long gone until ctx ends; then it ends the agents'
// streams. Those of configuration end with their gRPC server.
func (s *Server) Run(ctx context.Context) error {
	var pushing sync.WaitGroup
	defer pushing.Wait()
	if s.opts.Fault.PushPause > 0 {
		pushing.Go(func() { s.takeTurns(ctx) })
	}
	sweep, listen := time.NewTicker(time.Minute), time.NewTicker(time.Second)
	defer sweep.Stop()
	defer listen.Stop()
	for {
		select {
		case <-listen.C:
			s.hangUp(s.opts.Now())
		case <-sweep.C:
			s.forget(s.opts.Now())
		case <-ctx.Done():
			s.leave()
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
	return n.view.list(), nil
}

// Inbound gives the addresses on which a node takes requests, as it says; none
// when it does not say, or listens on all.
func (s *Server) Inbound(nodeID string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[nodeID]
	if n == nil {
		return nil
	}
	addresses := make([]string, 0, len(n.proxy.inbound))
	for _, in := range n.proxy.inbound {
		if host, _, err := net.SplitHostPort(in.address); err != nil || host == "0.0.0.0" || host == "::" {
			return nil
		}
		addresses = append(addresses, in.address)
	}
	return addresses
}

// update takes a new state of the configuration: compiles it for every known
// node, tells the tracker what each should run, and offers the difference to
// the streams.
func (s *Server) update(snapshot config.Snapshot) {
	start := time.Now()
	s.mu.Lock()
	old := s.world
	s.mu.Unlock()
	// Not under the lock: streams go on meanwhile.
	var w *world
	if old == nil {
		w = newWorld(snapshot, s.opts.Cluster, s.opts.Security)
	} else {
		w = old.next(snapshot)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Tracker.Accepted(snapshot.Revision)
	before, now := s.shared, s.opts.Now()
	s.begin(w, snapshot.Revision, now)
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		s.compile(s.nodes[id], before, now)
	}
	w.letGo()
	s.metrics.observe(StageCompile, time.Since(start))
	s.metrics.pilot.triggers.WithLabelValues("config").Inc()
	s.offerAll()
}

// compile makes a node's view of the state that it is to have and tells the
// tracker. before holds what was shared in the state before.
func (s *Server) compile(n *node, before map[sharing]*set, now time.Time) {
	g := s.of(n)
	n.held = 0
	if g.world != s.world {
		n.held, before = g.world.revision, nil
	}
	by := g.world.sharing(n.proxy)
	shared := g.shared[by]
	if shared == nil {
		shared = g.world.share(by, before[by])
		g.shared[by] = shared
	}
	own := g.world.own(n)
	n.own, n.of, n.compiled = own, g.world, n.proxy
	n.view = newView(g.world.revision, shared, own, n.view)
	// Held before its list is as old, and let go after it is new: at no moment
	// does the node look as if it ran what it does not.
	if n.held > 0 {
		s.opts.Tracker.Hold(n.proxy.node.ID, n.held, now)
		s.desire(n, now)
		return
	}
	s.desire(n, now)
	s.opts.Tracker.Hold(n.proxy.node.ID, 0, now)
}

// desire tells the tracker what a node should run.
func (s *Server) desire(n *node, now time.Time) {
	desired := n.view.desired
	if n.proxy.selective() {
		desired = nil
		if n.asks != nil {
			desired = [][]skew.Resource{n.asks.wanted(n.view)}
		}
	}
	s.opts.Tracker.Desired(n.proxy.node.ID, s.world.revision, desired, now)
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
	if n.streams++; n.streams == 1 {
		s.live++
	}
	s.compile(n, nil, now)
	s.metrics.nodes.Set(float64(s.live))
	return n
}

func (s *Server) disconnect(n *node, now time.Time) {
	n.streams--
	if n.streams == 0 {
		n.goneAt = now
		s.live--
	}
	s.metrics.nodes.Set(float64(s.live))
}

func (s *Server) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := map[sharing]bool{}
	for id, n := range s.nodes {
		if n.streams == 0 && now.Sub(n.goneAt) > s.opts.Remember {
			delete(s.nodes, id)
			continue
		}
		used[s.world.sharing(n.proxy)] = true
	}
	maps.DeleteFunc(s.shared, func(by sharing, _ *set) bool { return !used[by] })
	maps.DeleteFunc(s.world.compiled, func(by sharing, _ *set) bool { return !used[by] })
}
