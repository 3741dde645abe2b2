package xds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Limits of one stream.
const (
	maxOutstanding = 64     // responses not answered
	maxNames       = 50_000 // subscribed or held, in one request
	maxOtherTypes  = 16     // types that we do not serve
)

// ads serves the aggregated stream: the incremental form here, the other in
// sotw.go.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
}

// DeltaAggregatedResources serves delta ADS.
func (a ads) DeltaAggregatedResources(str discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	s := a.server
	st, err := s.openDelta(str.Context())
	if err != nil {
		return err
	}
	defer s.closeDelta(st)
	return converse(s, str, &st.line, st.take, st.offer)
}

// wire is a gRPC stream of either form.
type wire[Request, Response any] interface {
	Context() context.Context
	Recv() (*Request, error)
	Send(*Response) error
}

// response is a response that is ready to leave.
type response[T any] struct {
	t        int
	made     time.Time
	accepted time.Time // the change that it carries; zero: it carries none
	resp     *T
}

// converse serves a stream until it ends: after each request, and whenever
// something may have changed, what is offered is sent. When the server stops, its
// streams break off: reading has no other end.
func converse[Request, Response any](s *Server, str wire[Request, Response], l *line, take func(*Request) error, offer func() []response[Response]) error {
	l.sender.begin(func() error {
		for _, r := range offer() {
			start := s.opts.Now()
			err := str.Send(r.resp)
			s.metrics.sent(r.t, err, r.made, r.accepted, start, s.opts.Now())
			if err != nil {
				return err
			}
		}
		return nil
	})
	defer l.sender.end()
	for {
		req, err := str.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(req); err != nil {
			return err
		}
		l.ring()
	}
}

// streamEnded is why a node with a stream is gone.
const streamEnded = "the configuration stream ended"

// line is what streams of both forms, and nodes that ask by REST, are: a
// connection of a node, on which it asks and is told. It is guarded by the
// server's lock.
type line struct {
	server *Server
	id     int64
	conn   string
	peer   string // address of the other end
	node   *node  // nil before the first request
	since  time.Time
	other  map[string]bool // types asked for that we do not have
	nonces uint64
	sender sender
}

// open admits a stream from the address peer; form names its kind.
func (s *Server) open(peer, form string) (line, error) {
	if len(s.streams)+len(s.sotw)+len(s.pollers) >= s.opts.MaxStreams {
		s.metrics.refused.WithLabelValues("streams").Inc()
		return line{}, status.Errorf(codes.ResourceExhausted, "this server has its %d configuration streams", s.opts.MaxStreams)
	}
	s.lastStream++
	return line{server: s, id: s.lastStream, conn: form + "-" + strconv.FormatInt(s.lastStream, 10), peer: peer, sender: sender{&sending{}}}, nil
}

// peerOf is the address that a stream comes from.
func peerOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	return p.Addr.String()
}

// end tells that the stream is over, and why.
func (l *line) end(reason string) {
	s := l.server
	if l.node == nil {
		return
	}
	now, nodeID := s.opts.Now(), l.node.proxy.node.ID
	s.disconnect(l.node, now)
	s.opts.Tracker.Disconnected(nodeID, l.conn, reason, now)
	s.opts.Logger.Info("node disconnected", "node", nodeID, "conn", l.conn)
}

// ring has sent what the stream lacks.
func (l *line) ring() { l.sender.ring() }

// hear checks what every request must have, and reads from the first one who is
// at the other end: the node stands there only.
func (l *line) hear(node *corev3.Node, typeURL string, names int) error {
	if err := l.check(typeURL, names); err != nil || l.node != nil {
		return err
	}
	p, err := l.read(node)
	if err != nil {
		return err
	}
	l.meet(p)
	return nil
}

func (l *line) check(typeURL string, names int) error {
	if typeURL == "" {
		return status.Error(codes.InvalidArgument, "a request on the aggregated stream must say its type_url")
	}
	if names > maxNames {
		return status.Errorf(codes.ResourceExhausted, "a request names %d resources, more than %d", names, maxNames)
	}
	return nil
}

// read reads who is at the other end.
func (l *line) read(node *corev3.Node) (*proxy, error) {
	s := l.server
	p, err := (*proxy)(nil), fmt.Errorf("the first request must carry the node")
	if node != nil {
		p, err = readProxy(node)
	}
	if err != nil {
		s.metrics.refused.WithLabelValues("node").Inc()
		s.opts.Logger.Warn("node refused", "node", node.GetId(), "error", err)
		return nil, status.Errorf(codes.InvalidArgument, "%v", err)
	}
	return p, nil
}

// meet notes who is at the other end.
func (l *line) meet(p *proxy) {
	s := l.server
	if before := s.pollers[p.node.ID]; before != nil {
		before.close("it is told over a stream from now on")
	}
	now := s.opts.Now()
	l.node, l.since = s.connect(p, now), now
	s.opts.Tracker.Connected(p.node, l.conn, l.peer, now)
	s.opts.Logger.Info("node connected", "node", p.node.ID, "conn", l.conn, "build", p.node.Build)
}

// unserved takes a question for a type that we do not have. Envoy asks for
// secrets and more. Having none is no fault, so it waits.
func (l *line) unserved(typeURL string) error {
	if l.other == nil {
		l.other = map[string]bool{}
	}
	if l.other[typeURL] = true; len(l.other) > maxOtherTypes {
		return status.Errorf(codes.ResourceExhausted, "more than %d resource types that are not served", maxOtherTypes)
	}
	return nil
}

// answered passes the answer to a response on. Refused is what has error_detail;
// versions say nothing about it.
func (l *line) answered(t int, nonce string, refusal *rpcstatus.Status) {
	s, nodeID, now := l.server, l.node.proxy.node.ID, l.server.opts.Now()
	if refusal == nil {
		s.opts.Tracker.Acked(nodeID, l.conn, nonce, now)
		return
	}
	s.opts.Tracker.Nacked(nodeID, l.conn, nonce, refusal.GetMessage(), now)
	s.metrics.rejects.WithLabelValues(typeName(t)).Inc()
	s.metrics.pilot.rejects.WithLabelValues(pilotTypes[t]).Inc()
	s.opts.Logger.Warn("configuration refused", "node", nodeID, "type", typeName(t), "message", refusal.GetMessage())
}

// leaves notes a response that is about to be sent, and gives since when the
// change is accepted that it carries.
func (l *line) leaves(t int, nonce string, refs []skew.ResourceRef, size int, revision uint64, now time.Time) (accepted time.Time) {
	s := l.server
	s.opts.Tracker.Sent(l.node.proxy.node.ID, l.conn, nonce, refs, now)
	s.metrics.pushes.WithLabelValues(typeName(t)).Inc()
	s.metrics.pilot.sizes.WithLabelValues(pilotTypes[t]).Observe(float64(size))
	if revision == s.world.revision && l.since.Before(s.revisionAt) {
		accepted = s.revisionAt
	}
	return accepted
}

// stream is one configuration stream in the incremental form. What its client
// asks for and holds is kept as what others ask for and hold too, and how it
// differs: see watch.
type stream struct {
	line
	types       [typeCount]watch
	outstanding map[string]outstanding // by nonce
}

// outstanding is a response that was not answered yet. The nonce alone says
// which one an answer is for; it is unique in a stream.
type outstanding struct {
	t    int
	refs []skew.ResourceRef
}

func (s *Server) openDelta(ctx context.Context) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.open(peerOf(ctx), "ads")
	if err != nil {
		return nil, err
	}
	st := &stream{line: l, outstanding: map[string]outstanding{}}
	s.streams[st.id] = st
	return st, nil
}

func (s *Server) closeDelta(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st.id)
	for t := range st.types {
		s.names.release(st.types[t].asked)
	}
	st.end(streamEnded)
}

// take hears a request: a subscription, an answer, or both.
func (st *stream) take(req *discoveryv3.DeltaDiscoveryRequest) error {
	s := st.server
	s.mu.Lock()
	defer s.mu.Unlock()
	subscribe, unsubscribe, initial := req.GetResourceNamesSubscribe(), req.GetResourceNamesUnsubscribe(), req.GetInitialResourceVersions()
	if err := st.hear(req.GetNode(), req.GetTypeUrl(), max(len(subscribe), len(unsubscribe), len(initial))); err != nil {
		return err
	}
	t, ok := typeIndex(req.GetTypeUrl())
	if !ok {
		return st.unserved(req.GetTypeUrl())
	}
	if req.GetResponseNonce() != "" {
		st.answer(t, req)
	}
	w := &st.types[t]
	if !w.heard && len(initial) > 0 {
		st.holds(t, initial)
	}
	w.ask(&s.names, subscribe, unsubscribe)
	if w.asked.len() > maxNames || len(w.otherwise) > maxNames || len(st.outstanding) > maxOutstanding {
		return status.Error(codes.ResourceExhausted, "too many subscriptions or unanswered responses")
	}
	if !w.heard {
		w.begin(st.node.view, t, initial)
	}
	w.heard, w.open = true, true
	return nil
}

// holds passes on what a node says it has already: the first request of a type
// on a stream may tell.
func (st *stream) holds(t int, initial map[string]string) {
	refs := make([]skew.ResourceRef, 0, len(initial))
	for name, version := range initial {
		refs = append(refs, skew.ResourceRef{Type: typeName(t), Name: name, Version: version})
	}
	slices.SortFunc(refs, func(a, b skew.ResourceRef) int { return cmp.Compare(a.Name, b.Name) }) // the tracker finds one after the other
	s := st.server
	s.opts.Tracker.Holds(st.node.proxy.node.ID, st.conn, refs, s.opts.Now())
}

// answer takes the answer to a response. An unknown nonce answers nothing: it is
// of a response that was answered before.
func (st *stream) answer(t int, req *discoveryv3.DeltaDiscoveryRequest) {
	nonce := req.GetResponseNonce()
	o, ok := st.outstanding[nonce]
	if !ok {
		st.server.metrics.pilot.expired.WithLabelValues(pilotTypes[t]).Inc()
		return
	}
	delete(st.outstanding, nonce)
	st.types[o.t].waiting--
	st.answered(o.t, nonce, req.GetErrorDetail())
	if req.GetErrorDetail() != nil {
		st.types[o.t].refuse(o.refs, req.GetErrorDetail().GetMessage())
	}
}

// offer gives the responses that may leave now, as far as the order allows: make
// before break. Clusters and endpoints go first; what names them goes when they
// were answered; and what is gone is taken away when nothing names it any more.
func (st *stream) offer() []response[discoveryv3.DeltaDiscoveryResponse] {
	s := st.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.node == nil {
		return nil
	}
	v := st.node.view
	var lacks [typeCount]difference
	for t := range typeCount {
		if st.types[t].open {
			lacks[t] = st.types[t].compare(s, v, t)
		}
	}
	// Additions that are not with the client yet: offered now or under way.
	busy := func(t int) bool { return st.types[t].waiting > 0 || len(lacks[t].send) > 0 }
	backing := busy(clusterType) || busy(endpointType)
	naming := busy(listenerType) || busy(routeType)

	var out []response[discoveryv3.DeltaDiscoveryResponse]
	for t := range typeCount {
		d, w := &lacks[t], &st.types[t]
		if !w.open {
			continue
		}
		switch t {
		case clusterType, endpointType:
			if naming || t == endpointType && busy(clusterType) {
				d.putOff(w)
			}
		default:
			if backing {
				continue
			}
		}
		// The first question with a wildcard is always answered, with nothing if
		// there is nothing: the client waits to hear that it has all.
		first := !w.spoken && w.all
		if d.empty() && !first || first && st.heldBack(t) {
			continue
		}
		out = append(out, st.respond(v, t, d))
	}
	return out
}

// respond makes a response and notes it as under way.
func (st *stream) respond(v *view, t int, d *difference) response[discoveryv3.DeltaDiscoveryResponse] {
	now := st.server.opts.Now()
	st.nonces++
	resp := &discoveryv3.DeltaDiscoveryResponse{
		SystemVersionInfo: strconv.FormatUint(v.revision, 10), TypeUrl: mesh.TypeURL(typeName(t)), Nonce: strconv.FormatUint(st.nonces, 10),
		RemovedResources: append(d.removed, d.absent...),
	}
	refs := make([]skew.ResourceRef, 0, len(d.send)+len(resp.GetRemovedResources()))
	size := 0
	for _, r := range d.send {
		resp.Resources = append(resp.Resources, r.wire)
		refs = append(refs, skew.ResourceRef{Type: r.Type, Name: r.Name, Version: r.Version})
		size += len(r.Any.GetValue())
	}
	for _, name := range resp.GetRemovedResources() {
		refs = append(refs, skew.ResourceRef{Type: typeName(t), Name: name})
	}
	w := &st.types[t]
	w.given(v.pair(t), d)
	w.open, w.spoken = false, true
	w.waiting++
	st.outstanding[resp.GetNonce()] = outstanding{t, refs}
	return response[discoveryv3.DeltaDiscoveryResponse]{t, now, st.leaves(t, resp.GetNonce(), refs, size, v.revision, now), resp}
}

// heldBack reports whether a type must wait for clusters and endpoints.
func (st *stream) heldBack(t int) bool {
	return t >= listenerType && st.types[clusterType].waiting+st.types[endpointType].waiting > 0
}

// named reports whether a refusal names a resource, in the form that sidecars
// write: "TYPE NAME: reason; ...".
func named(message, typ, name string) bool {
	return strings.Contains(message, typ+" "+name+":")
}
