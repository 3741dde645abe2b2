package xds

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Limits of one stream.
const (
	maxOutstanding = 64     // responses not answered
	maxNames       = 50_000 // subscribed or held, in one request
	maxOtherTypes  = 16     // types that we do not serve
)

// ads serves the aggregated stream, in its incremental form only.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server *Server
}

// StreamAggregatedResources refuses the state-of-the-world form by name, so
// that whoever asks for it learns what to do.
func (ads) StreamAggregatedResources(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return status.Error(codes.Unimplemented, "state-of-the-world ADS is not served yet: use delta ADS (api_type: DELTA_GRPC)")
}

// DeltaAggregatedResources serves delta ADS.
func (a ads) DeltaAggregatedResources(str discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return a.server.delta.DeltaStreamHandler(str, "")
}

// stream is one configuration stream. go-control-plane reads and writes it and
// keeps what is subscribed and returned; here is what it does not keep: who is
// at the other end, which response was answered how, and what may be offered
// when. It is guarded by the server's lock.
type stream struct {
	server *Server
	conn   string
	node   *node // nil before the first request
	since  time.Time
	types  [typeCount]watch
	other  map[string]bool // types asked for that we do not have

	outstanding map[string]outstanding // by nonce
}

// outstanding is a response that was not answered yet. The nonce alone says
// which one an answer is for; it is unique in a stream.
type outstanding struct {
	t    int
	refs []skew.ResourceRef
}

// callbacks are called by go-control-plane on the stream's goroutine, before a
// request is handled and before a response is sent.
type callbacks struct{ server *Server }

// OnDeltaStreamOpen admits a stream.
func (c callbacks) OnDeltaStreamOpen(_ context.Context, id int64, _ string) error {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) >= s.opts.MaxStreams {
		s.metrics.refused.WithLabelValues("streams").Inc()
		return status.Errorf(codes.ResourceExhausted, "this server has its %d configuration streams", s.opts.MaxStreams)
	}
	s.streams[id] = &stream{
		server: s, conn: "ads-" + strconv.FormatInt(id, 10), other: map[string]bool{}, outstanding: map[string]outstanding{},
	}
	return nil
}

// OnDeltaStreamClosed ends a stream.
func (c callbacks) OnDeltaStreamClosed(id int64, _ *corev3.Node) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	delete(s.streams, id)
	if st == nil || st.node == nil {
		return
	}
	now := s.opts.Now()
	nodeID := st.node.proxy.node.ID
	s.disconnect(st.node, now)
	s.opts.Tracker.Disconnected(nodeID, st.conn, "the configuration stream ended", now)
	s.opts.Logger.Info("node disconnected", "node", nodeID, "conn", st.conn)
}

// OnStreamDeltaRequest hears a request: who it is from, and which response it
// answers. The node stands in the first request of a stream only.
func (c callbacks) OnStreamDeltaRequest(id int64, req *discoveryv3.DeltaDiscoveryRequest) error {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	if st == nil {
		return status.Error(codes.Internal, "stream is not known")
	}
	if req.GetTypeUrl() == "" {
		return status.Error(codes.InvalidArgument, "a request on the aggregated stream must say its type_url")
	}
	if n := max(len(req.GetResourceNamesSubscribe()), len(req.GetInitialResourceVersions())); n > maxNames {
		return status.Errorf(codes.ResourceExhausted, "a request names %d resources, more than %d", n, maxNames)
	}
	if st.node == nil {
		if err := st.hello(req); err != nil {
			s.metrics.refused.WithLabelValues("node").Inc()
			s.opts.Logger.Warn("node refused", "node", req.GetNode().GetId(), "error", err)
			return status.Errorf(codes.InvalidArgument, "%v", err)
		}
	}
	st.holds(req)
	if req.GetResponseNonce() != "" {
		st.answer(req)
	}
	// The request goes to CreateDeltaWatch next, on this goroutine; that call is
	// not told which stream it is for.
	s.handed[req] = st
	return nil
}

// OnStreamDeltaResponse hears that a response is about to be sent.
func (c callbacks) OnStreamDeltaResponse(id int64, req *discoveryv3.DeltaDiscoveryRequest, resp *discoveryv3.DeltaDiscoveryResponse) {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	t, ok := typeIndex(req.GetTypeUrl())
	if st == nil || !ok {
		return
	}
	short := typeName(t)
	refs := make([]skew.ResourceRef, 0, len(resp.GetResources())+len(resp.GetRemovedResources()))
	for _, r := range resp.GetResources() {
		refs = append(refs, skew.ResourceRef{Type: short, Name: r.GetName(), Version: r.GetVersion()})
	}
	for _, name := range resp.GetRemovedResources() {
		refs = append(refs, skew.ResourceRef{Type: short, Name: name})
	}
	st.outstanding[resp.GetNonce()] = outstanding{t, refs}
	now := s.opts.Now()
	s.opts.Tracker.Sent(st.node.proxy.node.ID, st.conn, resp.GetNonce(), refs, now)
	s.metrics.pushes.WithLabelValues(short).Inc()
	if resp.GetSystemVersionInfo() == strconv.FormatUint(s.world.revision, 10) && st.since.Before(s.revisionAt) {
		s.metrics.pushTime.Observe(now.Sub(s.revisionAt).Seconds())
	}
}

// hello reads who is at the other end.
func (st *stream) hello(req *discoveryv3.DeltaDiscoveryRequest) error {
	if req.GetNode() == nil {
		return fmt.Errorf("the first request of a stream must carry the node")
	}
	p, err := readProxy(req.GetNode())
	if err != nil {
		return err
	}
	s := st.server
	now := s.opts.Now()
	st.node, st.since = s.connect(p, now), now
	s.opts.Tracker.Connected(p.node, st.conn, now)
	s.opts.Logger.Info("node connected", "node", p.node.ID, "conn", st.conn, "build", p.node.Build)
	return nil
}

// holds passes on what a node says it has already: the first request of a type
// on a stream may tell.
func (st *stream) holds(req *discoveryv3.DeltaDiscoveryRequest) {
	t, ok := typeIndex(req.GetTypeUrl())
	if !ok || len(req.GetInitialResourceVersions()) == 0 {
		return
	}
	refs := make([]skew.ResourceRef, 0, len(req.GetInitialResourceVersions()))
	for name, version := range req.GetInitialResourceVersions() {
		refs = append(refs, skew.ResourceRef{Type: typeName(t), Name: name, Version: version})
	}
	s := st.server
	s.opts.Tracker.Holds(st.node.proxy.node.ID, st.conn, refs, s.opts.Now())
}

// answer takes the answer to a response. Refused is what has error_detail;
// versions say nothing about it. An unknown nonce answers nothing: it is of a
// response that was answered before.
func (st *stream) answer(req *discoveryv3.DeltaDiscoveryRequest) {
	s := st.server
	nonce := req.GetResponseNonce()
	o, ok := st.outstanding[nonce]
	if !ok {
		return
	}
	delete(st.outstanding, nonce)
	st.types[o.t].waiting--
	nodeID, now := st.node.proxy.node.ID, s.opts.Now()
	if req.GetErrorDetail() == nil {
		s.opts.Tracker.Acked(nodeID, st.conn, nonce, now)
		return
	}
	message := req.GetErrorDetail().GetMessage()
	s.opts.Tracker.Nacked(nodeID, st.conn, nonce, message, now)
	s.metrics.rejects.WithLabelValues(typeName(o.t)).Inc()
	s.opts.Logger.Warn("configuration refused", "node", nodeID, "type", typeName(o.t), "message", message)
	st.types[o.t].refuse(o.refs, message)
}

// watches hands the requests that go-control-plane has taken apart to the
// streams that they are of. It is the cache.ConfigWatcher.
type watches struct{ server *Server }

// CreateWatch refuses: the state-of-the-world form never gets here.
func (watches) CreateWatch(*cache.Request, cache.Subscription, chan cache.Response) (func(), error) {
	return nil, status.Error(codes.Unimplemented, "state-of-the-world xDS is not served")
}

// CreateDeltaWatch opens a watch: at most one response goes into the channel,
// when there is something to say.
func (w watches) CreateDeltaWatch(req *cache.DeltaRequest, sub cache.Subscription, out chan cache.DeltaResponse) (func(), error) {
	s := w.server
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.handed[req]
	delete(s.handed, req)
	if st == nil {
		return nil, status.Error(codes.Internal, "request of no stream")
	}
	t, ok := typeIndex(req.GetTypeUrl())
	if !ok {
		// Envoy asks for secrets and more. Having none is no fault, so it waits.
		if st.other[req.GetTypeUrl()] = true; len(st.other) > maxOtherTypes {
			return nil, status.Errorf(codes.ResourceExhausted, "more than %d resource types that are not served", maxOtherTypes)
		}
		return func() {}, nil
	}
	if len(sub.SubscribedResources()) > maxNames || len(st.outstanding) > maxOutstanding {
		return nil, status.Error(codes.ResourceExhausted, "too many subscriptions or unanswered responses")
	}
	st.types[t].open(req, sub, out)
	st.offer()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		st.types[t].close(req)
	}, nil
}

// named reports whether a refusal names a resource, in the form that sidecars
// write: "TYPE NAME: reason; ...".
func named(message, typ, name string) bool {
	return strings.Contains(message, typ+" "+name+":")
}
