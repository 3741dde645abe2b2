package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

const (
	agentQueue   = 64               // messages to one sidecar
	helloTimeout = 10 * time.Second // to the first message
	stopTimeout  = time.Second
)

// Agents is the set of agent streams: what sidecars say about themselves, and
// the way to speak to them. It is safe for concurrent use.
type Agents struct {
	meshv1.UnimplementedAgentServer
	opts    Options
	metrics *metrics
	done    chan struct{}
	readers sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	streams map[string]*agent // by node ID
	hello   func(mesh.Node)
	gone    func(nodeID string)
	tap     func(nodeID string, batch *meshv1.TapBatch)
	ejected func(mesh.Node, *meshv1.Ejection)

	watching sync.Mutex
	watches  map[*func()]struct{} // guarded by watching
}

// agent is one stream after its Hello.
type agent struct {
	node     mesh.Node
	queue    chan *meshv1.ServerMessage
	replaced chan struct{} // closed when a newer stream has its place
}

// Target is where a connected node's metrics are scraped.
type Target struct {
	Address string // host:port
	Node    mesh.Node
}

func newAgents(opts Options, m *metrics) *Agents {
	return &Agents{
		opts: opts, metrics: m, done: make(chan struct{}), streams: map[string]*agent{}, watches: map[*func()]struct{}{},
		hello: func(mesh.Node) {}, gone: func(string) {}, tap: func(string, *meshv1.TapBatch) {}, ejected: func(mesh.Node, *meshv1.Ejection) {},
	}
}

// OnHello sets what is called after each accepted Hello. The callbacks are set
// once, before the first sidecar connects; those of one stream are called in
// order, without locks held.
func (a *Agents) OnHello(fn func(mesh.Node)) { a.set(func() { a.hello = fn }) }

// OnGone sets what is called after a stream that said Hello has ended. When a
// node's stream is replaced, its Gone may come after the Hello of the newer.
func (a *Agents) OnGone(fn func(nodeID string)) { a.set(func() { a.gone = fn }) }

// OnTap sets what is called with each tap batch, on the stream's goroutine.
func (a *Agents) OnTap(fn func(nodeID string, batch *meshv1.TapBatch)) { a.set(func() { a.tap = fn }) }

// OnEjection sets what is called when a sidecar has taken an endpoint out, or let
// it back in.
func (a *Agents) OnEjection(fn func(mesh.Node, *meshv1.Ejection)) { a.set(func() { a.ejected = fn }) }

func (a *Agents) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// Broadcast queues a message for every connected sidecar, and gives to how many
// it went: one whose queue is full does not get it, which is counted.
func (a *Agents) Broadcast(m *meshv1.ServerMessage) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	sent := 0
	for _, st := range a.streams {
		if a.queue(st, m) {
			sent++
		}
	}
	return sent
}

// Send queues a message for one sidecar; false when it is not connected or its
// queue is full.
func (a *Agents) Send(nodeID string, m *meshv1.ServerMessage) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := a.streams[nodeID]
	return st != nil && a.queue(st, m)
}

func (a *Agents) queue(st *agent, m *meshv1.ServerMessage) bool {
	select {
	case st.queue <- m:
		return true
	default:
		a.metrics.dropped.Inc()
		return false
	}
}

// Nodes lists the connected sidecars, by ID.
func (a *Agents) Nodes() []mesh.Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]mesh.Node, 0, len(a.streams))
	for _, st := range a.streams {
		out = append(out, st.node)
	}
	slices.SortFunc(out, func(x, y mesh.Node) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// Targets lists the metrics addresses of connected sidecars, by node ID.
func (s *Server) Targets() []Target { return s.agents.list() }

// OnTargets calls fn now and after each change of the list. It is called on the
// way of whoever connects: it must not block. Many may come at once, so who wants
// the list takes it when it has time for it.
func (s *Server) OnTargets(fn func()) (cancel func()) {
	a := s.agents
	a.watching.Lock()
	defer a.watching.Unlock()
	a.watches[&fn] = struct{}{}
	fn()
	return func() {
		a.watching.Lock()
		defer a.watching.Unlock()
		delete(a.watches, &fn)
	}
}

func (a *Agents) list() []Target {
	out := []Target{}
	for _, n := range a.Nodes() {
		if n.Address != "" {
			out = append(out, Target{n.Address, n})
		}
	}
	return out
}

func (a *Agents) changed() {
	a.watching.Lock()
	defer a.watching.Unlock()
	for fn := range a.watches {
		(*fn)()
	}
}

// Connect serves one agent stream.
func (a *Agents) Connect(str grpc.BidiStreamingServer[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	ready := make(chan *agent, 1)
	ended := make(chan error, 1)
	if !a.start(func() { ended <- a.read(str, ready) }) {
		return status.Error(codes.Unavailable, "the server is stopping")
	}
	hello := time.NewTimer(helloTimeout)
	defer hello.Stop()
	var st *agent
	select {
	case st = <-ready:
	case err := <-ended:
		return err
	case <-hello.C:
		return status.Errorf(codes.InvalidArgument, "no Hello within %s", helloTimeout)
	case <-a.done:
		return status.Error(codes.Unavailable, "the server is stopping")
	}
	for {
		select {
		case m := <-st.queue:
			if err := str.Send(m); err != nil {
				return err
			}
		case err := <-ended:
			return err
		case <-st.replaced:
			return status.Error(codes.Aborted, "a newer stream of this node has its place")
		case <-a.done:
			return status.Error(codes.Unavailable, "the server is stopping")
		}
	}
}

// start runs the reader of a stream, which Connect's return ends, and which
// close waits for.
func (a *Agents) start(read func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.readers.Go(read)
	return true
}

// read takes a stream's messages until it ends. All callbacks of a stream come
// from here, so they are in order.
func (a *Agents) read(str grpc.BidiStreamingServer[meshv1.AgentMessage, meshv1.ServerMessage], ready chan<- *agent) error {
	first, err := str.Recv()
	if err != nil {
		return err
	}
	st, err := a.join(first.GetHello())
	if err != nil {
		a.metrics.refused.WithLabelValues("agent").Inc()
		return err
	}
	ready <- st
	a.opts.Tracker.Described(st.node, a.opts.Now())
	a.hello(st.node)
	a.changed()
	defer func() {
		a.leave(st)
		a.gone(st.node.ID)
		a.changed()
	}()
	for {
		m, err := str.Recv()
		if err != nil {
			if errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
				return nil // a sidecar that leaves says all that it has to say first
			}
			return err
		}
		a.take(st, m)
	}
}

// join checks a Hello and takes the node's place. Of two live streams the one
// whose process started later has it: the other is a zombie.
func (a *Agents) join(h *meshv1.Hello) (*agent, error) {
	if h == nil {
		return nil, status.Error(codes.InvalidArgument, "the first message must be Hello")
	}
	if h.GetNodeId() == "" || len(h.GetNodeId()) > maxNodeID {
		return nil, status.Errorf(codes.InvalidArgument, "hello.node_id must have 1 to %d bytes", maxNodeID)
	}
	st := &agent{node: h.Mesh(), queue: make(chan *meshv1.ServerMessage, agentQueue), replaced: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.streams[st.node.ID]
	if old == nil && len(a.streams) >= a.opts.MaxStreams {
		return nil, status.Errorf(codes.ResourceExhausted, "this server has its %d agent streams", a.opts.MaxStreams)
	}
	if old != nil {
		if old.node.StartedAt.After(st.node.StartedAt) {
			return nil, status.Error(codes.AlreadyExists, fmt.Sprintf(
				"node %s is connected from a process that started later, at %s", st.node.ID, old.node.StartedAt.Format(time.RFC3339)))
		}
		close(old.replaced)
	}
	a.streams[st.node.ID] = st
	a.metrics.agents.Set(float64(len(a.streams)))
	return st, nil
}

func (a *Agents) leave(st *agent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams[st.node.ID] == st {
		delete(a.streams, st.node.ID)
		a.metrics.agents.Set(float64(len(a.streams)))
	}
}

func (a *Agents) take(st *agent, m *meshv1.AgentMessage) {
	now := a.opts.Now()
	switch v := m.GetMessage().(type) {
	case *meshv1.AgentMessage_Applied:
		account := a.opts.Tracker.Applied
		if v.Applied.GetPartial() {
			account = a.opts.Tracker.AppliedSince
		}
		account(st.node.ID, applied(v.Applied), v.Applied.GetRevision(), now)
	case *meshv1.AgentMessage_Tap:
		a.tap(st.node.ID, v.Tap)
	case *meshv1.AgentMessage_Ejection:
		a.ejected(st.node, v.Ejection)
	case *meshv1.AgentMessage_Identity:
		a.opts.Tracker.Identified(st.node.ID, v.Identity.Mesh(), now)
	case *meshv1.AgentMessage_Life:
		a.opts.Tracker.Lived(st.node.ID, v.Life.Mesh(), now)
	case *meshv1.AgentMessage_Heartbeat:
		a.opts.Tracker.Seen(st.node.ID, now)
	}
}

func applied(m *meshv1.Applied) []skew.AppliedResource {
	out := make([]skew.AppliedResource, 0, len(m.GetResources()))
	for _, r := range m.GetResources() {
		res := skew.AppliedResource{
			Type: mesh.TypeName(r.GetTypeUrl()), Name: r.GetName(), Version: r.GetVersion(),
			Error: r.GetError(), ErrorVersion: r.GetErrorVersion(),
		}
		if r.GetAppliedAt().IsValid() {
			res.At = r.GetAppliedAt().AsTime()
		}
		out = append(out, res)
	}
	return out
}

// close ends all streams and waits for their readers, for a while: a sidecar
// that reads nothing can hold a handler until the gRPC server itself stops.
func (a *Agents) close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.done)
	}
	a.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		a.readers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(stopTimeout):
		a.opts.Logger.Warn("agent streams did not end in time", "timeout", stopTimeout)
	}
}
