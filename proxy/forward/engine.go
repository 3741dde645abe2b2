package forward

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/dns"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// Options say who this sidecar is and who watches it.
type Options struct {
	Workload  mesh.Workload
	NodeID    string
	Sampling  float64          // share of new traces that is recorded, 0 to 1
	BodyLimit int              // bytes of a request body that are kept for retries; 0 = 64 KiB
	Identity  *identity.Source // nil: no endpoint is reached under TLS of the mesh
	Resolver  dns.Resolver     // of names in DNS clusters; nil = the machine's
	Observers []Observer
	Ejections func(Ejection) // told of each; must not block; nil = nobody
	Logger    *slog.Logger
}

const defaultBodyLimit = 64 << 10

// Engine forwards HTTP requests by the configuration last applied.
type Engine struct {
	opts        Options
	peers       *Peers
	self        *Peer
	ownMetadata []string // header values, shared by all requests
	ownID       []string
	proxyName   string
	authorities *authorities

	messageObservers []MessageObserver

	state  atomic.Pointer[state]
	active atomic.Int64
	copies copies
	lates  lates
	names  *dns.Names

	mu      sync.Mutex // of Apply
	retired []*Upstream
}

// state is one configuration, as requests see it: never changed once stored,
// but for the endpoints inside the upstreams.
type state struct {
	routes   map[string]*route.Table
	inline   map[string]*route.Table // by listener
	clusters map[string]*Upstream
}

// NewEngine gives an engine without configuration: it answers 404 NR.
func NewEngine(o Options) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Resolver == nil {
		o.Resolver = dns.System{}
	}
	if o.BodyLimit == 0 {
		o.BodyLimit = defaultBodyLimit
	}
	metadata, err := EncodePeer(o.Workload)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		opts:        o,
		peers:       NewPeers(),
		ownMetadata: []string{metadata},
		ownID:       []string{o.NodeID},
		proxyName:   proxyName(o),
		authorities: newAuthorities(o.Workload.Namespace),
		names:       dns.New(o.Resolver, o.Logger),
	}
	e.self = e.peers.intern(Peer{Workload: o.Workload, NodeID: o.NodeID})
	for _, o := range o.Observers {
		if m, ok := o.(MessageObserver); ok {
			e.messageObservers = append(e.messageObservers, m)
		}
	}
	e.state.Store(&state{})
	return e, nil
}

// Apply swaps routes, clusters and endpoints. On an error nothing changed.
// Listeners are not its business.
func (e *Engine) Apply(s Snapshot) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.state.Load()
	next := &state{
		routes:   make(map[string]*route.Table, len(s.Routes)),
		inline:   make(map[string]*route.Table, len(s.Listeners)),
		clusters: make(map[string]*Upstream, len(s.Clusters)),
	}
	for _, t := range s.Routes {
		if next.routes[t.Config().Name] != nil {
			return fmt.Errorf("route configuration %s: given twice", t.Config().Name)
		}
		next.routes[t.Config().Name] = t
		t.Inherit(before.routes[t.Config().Name])
	}
	for i := range s.Listeners {
		s.Listeners[i].Each(func(c *listen.Config) {
			if c.Routes != nil {
				c.Routes.Inherit(before.inline[c.Name])
				next.inline[c.Name] = c.Routes
			}
		})
	}
	seen := make(map[string]bool, len(s.Clusters))
	for i := range s.Clusters {
		if name := s.Clusters[i].Name; name == "" || seen[name] {
			return fmt.Errorf("cluster %q: no name, or given twice", name)
		}
		seen[s.Clusters[i].Name] = true
	}
	// Nothing below can fail: upstreams that are kept change in place.
	for i := range s.Clusters {
		c := &s.Clusters[i]
		next.clusters[c.Name] = e.newUpstream(c, endpointsOf(c, s.Endpoints), before.clusters[c.Name])
	}
	e.state.Store(next)
	e.retire(before, next)
	return nil
}

func endpointsOf(c *cluster.Config, assigned map[string][]cluster.Endpoint) []cluster.Endpoint {
	if c.EDS {
		return assigned[c.AssignmentName()]
	}
	return c.Endpoints
}

// retire lets go of upstreams whose connections nobody uses any more. They are
// swept again at the next change, for connections that came back late.
func (e *Engine) retire(before, next *state) {
	kept := make(map[*gauges]bool, len(next.clusters))
	for _, u := range next.clusters {
		kept[u.gauges] = true
	}
	var pending []*Upstream
	for _, u := range e.retired {
		u.closeIdle()
		if u.requests.Load() > 0 {
			pending = append(pending, u)
		}
	}
	for _, u := range before.clusters {
		if !kept[u.gauges] {
			u.retire()
			pending = append(pending, u)
		}
	}
	e.retired = pending
}

// Close gives up mirrored requests that are under way, looks no names up any more
// and lets go of all idle upstream connections.
func (e *Engine) Close() {
	e.copies.close()
	e.names.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, u := range e.state.Load().clusters {
		u.retire()
	}
	for _, u := range e.retired {
		u.closeIdle()
	}
}

// Upstream gives the cluster of that name as it is now.
func (e *Engine) Upstream(name string) (*Upstream, bool) {
	u, ok := e.state.Load().clusters[name]
	return u, ok
}

// Upstreams gives all clusters as they are now, in no order.
func (e *Engine) Upstreams() []*Upstream {
	s := e.state.Load()
	list := make([]*Upstream, 0, len(s.clusters))
	for _, u := range s.clusters {
		list = append(list, u)
	}
	return list
}

// Lookups tells how many names were looked up, and how many lookups failed.
func (e *Engine) Lookups() (all, failed uint64) { return e.names.Lookups() }

// Active is the number of exchanges under way.
func (e *Engine) Active() int64 { return e.active.Load() }

// Peers gives the engine's peers, for engines that stand beside it.
func (e *Engine) Peers() *Peers { return e.peers }

// Self is this sidecar's own workload.
func (e *Engine) Self() *Peer { return e.self }

// Observe tells the observers that an exchange has ended.
func (e *Engine) Observe(x *Exchange) {
	for _, o := range e.opts.Observers {
		if o.Active() {
			o.Done(x)
		}
	}
}

// Serve answers one request that came in on a listener.
func (e *Engine) Serve(cfg *listen.Config, w http.ResponseWriter, r *http.Request) {
	e.active.Add(1)
	defer e.active.Add(-1)
	s := newStream(e, cfg, w, r)
	s.walk()
	s.finish()
}

// Refused records a request that could not be read: net/http has answered it
// with status and closed the connection.
func (e *Engine) Refused(cfg *listen.Config, client net.Addr, status int) {
	x := Exchange{
		Begin: time.Now(), Listener: cfg.Name, Direction: cfg.Direction, Protocol: mesh.HTTP,
		Source: e.peers.unknown, Destination: e.peers.unknown,
		Status: status, Flags: FlagDPE, Details: DetailsCodecError,
		ClientAddr: client.String(), TLS: "none",
	}
	if cfg.Direction == listen.Inbound {
		x.Destination = e.self
	} else {
		x.Source = e.self
	}
	e.Observe(&x)
}
