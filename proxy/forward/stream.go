package forward

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// stream is one request on its walk: decode, route, try, answer, tell.
type stream struct {
	e   *Engine
	cfg *listen.Config
	w   http.ResponseWriter
	r   *http.Request
	x   Exchange

	info      listen.Info // of the connection
	grpc      bool
	upgrade   string // what the client wants to upgrade to
	connect   bool   // the client asks for a connection to somebody
	hadPeer   bool   // the client sent peer metadata, so it understands ours
	forward   *route.Forward
	route     *route.Route
	vhost     *route.VirtualHost
	table     *route.Table
	weighted  *route.Weighted
	upstream  *Upstream
	body      *requestBody
	messages  *messages // nil unless gRPC
	deadline  deadline
	ending    ending
	attempts  [2]Attempt // backing of x.Attempts: most requests need no more
	wroteHead bool
	hash      uint64
	hashed    bool   // by hash, not at random
	setCookie string // that the client gets to keep its endpoint
	sentBytes int64  // of the answer's body
	own       time.Duration
	held      time.Duration // on purpose, by a fault
	cors      route.Verdict
	origin    string // that the answer allows
	abort     bool   // the client must see that the answer is cut
	late      late   // while more of the answer is to come

	values [4]string // backing of headers' values
	used   int
}

func newStream(e *Engine, cfg *listen.Config, w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{e: e, cfg: cfg, w: w, r: r, connect: r.Method == http.MethodConnect}
	s.grpc = route.IsGRPC(first(r.Header, headerContentType))
	if r.ProtoMajor == 1 {
		s.upgrade = upgradeType(r.Header)
	}
	s.x = Exchange{
		Begin:     time.Now(),
		Listener:  cfg.Name,
		Direction: cfg.Direction,
		Protocol:  mesh.HTTP,
		Method:    r.Method,
		Scheme:    "http",
		Authority: r.Host,
		Path:      r.RequestURI,
		Proto:     r.Proto,
		RequestID: first(r.Header, headerRequestID),
		TLS:       plainText,

		ClientAddr:   r.RemoteAddr,
		RequestBytes: requestLineBytes(r) + headerBytes(r.Header),
		Trace:        readTrace(r.Header, e.opts.Sampling),
	}
	s.info = listen.InfoOf(r.Context())
	if s.info.Ended {
		s.x.Scheme = "https"
	}
	s.x.Attempts = s.attempts[:0]
	if s.grpc {
		s.x.Protocol = mesh.GRPC
		s.messages = &messages{toldAt: s.x.Begin}
	}
	if r.URL.IsAbs() { // absolute form: what the server would have seen
		s.x.Path = r.URL.RequestURI()
	}
	if s.x.RequestID == "" {
		s.x.RequestID = newRequestID()
	}
	s.x.Source, s.x.Destination = e.peers.unknown, e.peers.unknown
	if cfg.Direction == listen.Inbound {
		s.x.Source, s.hadPeer = e.peers.FromHeaders(first(r.Header, headerPeer), first(r.Header, headerPeerID))
		s.x.Destination = e.self
		if s.info.Mutual {
			s.x.TLS = mutualTLS
			s.x.Source = e.peers.Proven(s.x.Source, s.info.Principal)
			s.x.Destination = e.ProvenSelf()
		}
	} else {
		s.x.Source = e.self
	}
	return s
}

// walk takes the request from its route to its answer.
func (s *stream) walk() {
	st := s.e.state.Load()
	if s.r.Host == "" {
		s.reply(localReply{status: http.StatusBadRequest, flags: FlagDPE, details: DetailsMissingHost})
		return
	}
	// net/http checks this for HTTP/1.1 only, and no server would get it.
	if !httpguts.ValidHeaderFieldName(s.r.Method) {
		s.reply(localReply{status: http.StatusBadRequest, flags: FlagDPE, details: DetailsCodecError})
		return
	}
	table := s.cfg.Routes
	if table == nil {
		table = st.routes[s.cfg.RouteName]
	}
	if table == nil {
		s.reply(localReply{status: http.StatusNotFound, flags: FlagNR, details: DetailsRouteConfigNotFound})
		return
	}
	s.table = table
	req := route.Request{
		Host: s.r.Host, Path: s.r.URL.EscapedPath(), Query: s.r.URL.RawQuery,
		Method: s.r.Method, Scheme: s.x.Scheme, Header: s.r.Header,
	}
	if s.cfg.NormalizePath && !s.connect {
		req.Path = mesh.NormalizePath(req.Path)
	}
	d := table.Match(&req)
	if d.Host != nil {
		s.x.Service = d.Host.Service() // a cluster, when one is asked, knows better
	}
	if s.forbidden(st, &req, &d) {
		return
	}
	if s.connect && !s.mayConnect(d.Route) {
		return
	}
	if d.Route == nil {
		s.reply(localReply{status: http.StatusNotFound, flags: FlagNR, details: DetailsRouteNotFound})
		return
	}
	s.route, s.vhost = d.Route, d.Host
	s.x.RouteName, s.x.RouteObject, s.x.Revision = d.Route.Name, d.Route.Object, d.Revision
	if !s.admit(&req) {
		return
	}
	switch {
	case d.Route.Direct != nil:
		s.reply(localReply{
			status: d.Route.Direct.Status, body: d.Route.Direct.Body,
			details: DetailsDirectResponse, object: d.Route.Object,
		})
	case d.Route.Redirect != nil:
		s.reply(localReply{
			status: d.Route.Redirect.Code(), location: d.Route.Location(&req),
			details: DetailsDirectResponse, object: d.Route.Object,
		})
	default:
		s.toCluster(st, d.Route.Forward, &req)
	}
}

// toCluster picks the destination of a split and forwards to it.
func (s *stream) toCluster(st *state, f *route.Forward, req *route.Request) {
	s.forward = f
	s.weighted = f.Pick(rand.Uint64())
	s.x.Cluster = s.weighted.Cluster
	u := st.clusters[s.weighted.Cluster]
	if u == nil {
		status := f.NotFoundStatus
		if status == 0 {
			status = http.StatusServiceUnavailable
		}
		s.reply(localReply{status: status, flags: FlagNC, details: DetailsClusterNotFound, object: s.route.Object})
		return
	}
	s.upstream = u
	switch {
	case u.service.Host != "":
		s.x.Service = u.service
	case s.cfg.Direction == listen.Inbound:
		s.x.Service = s.e.authorities.service(s.r.Host)
	}
	if s.upgrade != "" && u.config.HTTP2 && !s.connect {
		s.reply(localReply{status: http.StatusForbidden, details: DetailsUpgradeFailed})
		return
	}
	if u.config.Policy.Hashed() && len(f.Hash) > 0 {
		client, _, _ := net.SplitHostPort(s.r.RemoteAddr)
		s.hash, s.hashed, s.setCookie = f.HashOf(req, client, rand.Uint64())
	}
	if s.connect {
		s.connectWithRetries()
		return
	}
	s.forwardWithRetries(st, req.Path)
}

// The reasons for which this sidecar itself ends a try.
var (
	errRouteTimeout = errors.New("route timeout")
	errPerTry       = errors.New("per-try timeout")
	// errLeftover: the answer was there before the request, behind the one before.
	errLeftover = errors.New("unasked answer")
)

// forwardWithRetries tries until there is an answer to pass on, or no reason
// left to try again.
func (s *stream) forwardWithRetries(st *state, path string) {
	ctx := s.r.Context()
	defer s.deadline.stop()
	header := s.outgoing()
	if s.cfg.Edge {
		route.DropOverrides(header)
	}
	if s.cfg.Direction == listen.Outbound { // the client is the app beside us
		s.forward = s.forward.For(header, s.grpc)
	}
	if t := s.forward.Timeout; t > 0 {
		header[headerExpectedTimeout] = s.value(strconv.FormatInt(t.Milliseconds(), 10))
	}
	policy := s.forward.Policy()
	s.prepareBody(policy.Enabled() && policy.Num > 0)
	t := &tries{s: s, policy: policy, header: header, path: path}
	t.applyHeaderOps()
	if len(s.forward.Mirrors) > 0 {
		s.mirror(st, t)
	}
	s.own += time.Since(s.x.Begin) - s.held
	for {
		out := t.next(ctx)
		if !out.again {
			t.pass(out)
			return
		}
		if !t.backoff(ctx) {
			t.pass(t.timedOut(out))
			return
		}
	}
}

// prepareBody sets up what the tries read, and starts the route's timeout when
// the client has sent everything: a slow upload is not the service's fault.
func (s *stream) prepareBody(retries bool) {
	if s.r.Body != nil && s.r.Body != http.NoBody && s.r.ContentLength != 0 {
		limit := 0
		if (retries || len(s.forward.Mirrors) > 0) && s.upgrade == "" {
			limit = s.e.opts.BodyLimit
		}
		s.body = newRequestBody(s.r.Body, limit)
		s.body.hold = len(s.forward.Mirrors) > 0
		if s.messages != nil {
			s.body.messages = &s.messages.sent
		}
	}
	if d := s.forward.Timeout; d > 0 && s.upgrade == "" {
		s.whenSent(func() { s.deadline.start(d, func() { s.ending.end(errRouteTimeout) }) })
	}
}

// whenSent calls f once the client has sent its request whole.
func (s *stream) whenSent(f func()) {
	if s.body == nil {
		f()
		return
	}
	s.body.whenSent(f)
}

// deadline is a timer that may be started by the transport's goroutine after
// the request has ended, and then does not start.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

func (d *deadline) start(after time.Duration, do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.timer = time.AfterFunc(after, do)
	}
}

// stop ends the timer; true when it had fired before.
func (d *deadline) stop() (fired bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	return d.timer != nil && !d.timer.Stop()
}

// finish completes the exchange and shows it to the observers.
func (s *stream) finish() {
	x := &s.x
	x.Duration = time.Since(x.Begin)
	x.Own = s.own
	if s.body != nil {
		x.RequestBytes += s.body.received()
	}
	if s.wroteHead {
		x.ResponseBytes = responseLineBytes + headerBytes(s.w.Header()) + s.sentBytes
	}
	if s.table != nil && x.Revision == 0 {
		x.Revision = s.table.Config().Revision
	}
	if len(x.Attempts) > 1 {
		// The first try carried what was to be this exchange's own span. Now that
		// each try has a span, that one is the first try's.
		x.Trace.Span = NewSpanID()
	}
	x.Headers = HeaderView{Request: s.r.Header, Response: s.w.Header()}
	if n := len(x.Attempts); n > 0 {
		s.tellDestination(&x.Attempts[n-1])
	}
	s.tellMessages()
	s.e.Observe(x)
	if s.abort {
		// net/http's way to cut an answer short: it closes the HTTP/1
		// connection or resets the HTTP/2 stream, and logs nothing.
		panic(http.ErrAbortHandler)
	}
}

// tellDestination settles who answered, for the sending side: what the answer
// said of itself, else what the endpoint's metadata says, and nobody when no
// endpoint was reached.
func (s *stream) tellDestination(last *Attempt) {
	if s.cfg.Direction != listen.Outbound {
		return
	}
	if last.Reached && s.x.Destination == s.e.peers.unknown {
		s.x.Destination = s.e.peers.Of(last.Workload)
	}
	if last.Encrypted {
		s.x.TLS = simpleTLS
	}
	if last.Secure {
		s.x.TLS, s.x.Source = mutualTLS, s.e.ProvenSelf()
		s.x.Destination = s.e.peers.Proven(s.x.Destination, last.Principal)
	}
}
