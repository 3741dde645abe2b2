package forward

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// tries makes the attempts of one request.
type tries struct {
	s      *stream
	policy route.Policy
	header http.Header // of the next try
	path   string      // escaped, after the rewrite
	host   string      // authority to send; "" = the client's
	n      int
	tried  []*cluster.Host
	retry  bool // a retry is counted in the cluster's gauge
}

// outcome is how one try ended.
type outcome struct {
	attempt  *attempt       // still open when there is a response
	response *http.Response // nil when no answer came
	reply    localReply     // what to answer when response is nil
	flags    Flags          // beside the reply's
	again    bool           // another try is due
}

// applyHeaderOps changes the request as the configuration says: most specific
// first, as Envoy, so that the outer levels see what the inner ones did.
func (t *tries) applyHeaderOps() {
	s := t.s
	for _, ops := range [...]*route.HeaderOps{
		&s.weighted.RequestHeaders, &s.route.RequestHeaders,
		&s.vhost.RequestHeaders, &s.table.Config().RequestHeaders,
	} {
		if ops.IsZero() {
			continue
		}
		if host := ops.Apply(t.header); host != "" {
			t.host = host
		}
	}
	if s.forward.HostRewrite != "" {
		t.host = s.forward.HostRewrite
	}
	if rewritten := s.route.Rewrite(t.path); rewritten != t.path {
		t.header[headerOriginalPath] = []string{s.r.URL.RequestURI()}
		t.path = rewritten
	}
}

// next makes one try and judges how it ended.
func (t *tries) next(ctx context.Context) outcome {
	s := t.s
	host, none := t.choose()
	if host == nil {
		return none
	}
	if t.n > 1 {
		t.header = cloneHeader(t.header, 0) // the try before may still be sending its own
		if s.upgrade == "" {
			delete(t.header, "Connection") // said that its connection was used up
		}
	}
	t.header[headerAttemptCount] = firstAttempt
	if t.n > 1 {
		t.header[headerAttemptCount] = []string{strconv.Itoa(t.n)}
	}
	a := newAttempt(ctx, s, host)
	s.x.Trace.write(t.header, a.record.SpanID)
	perTry := t.perTry()
	res, err := a.roundTrip(t.request(a.ctx, host), perTry) //nolint:bodyclose // answered closes it, or hands it on
	if err != nil {
		return t.failed(a, err)
	}
	return t.answered(a, res)
}

// choose draws the endpoint of the next try; without one it gives the outcome.
func (t *tries) choose() (*cluster.Host, outcome) {
	t.n++
	s := t.s
	first := s.hash
	if !s.hashed {
		first = rand.Uint64()
	}
	host := t.pick(first)
	if host == nil {
		return nil, outcome{reply: localReply{
			status: http.StatusServiceUnavailable, flags: FlagUH,
			body: "no healthy upstream", details: DetailsNoHealthyUpstream, object: s.upstream.config.Object,
		}}
	}
	t.tried = append(t.tried, host)
	return host, outcome{}
}

// redraws is how often another host is drawn to avoid those already tried.
func (t *tries) redraws() int {
	if t.policy.Retry == nil || !t.policy.AvoidPrevious {
		return 0
	}
	return int(t.policy.HostAttempts)
}

// perTry is the timeout of one try. One that the route's own timeout makes
// pointless is ignored, as Envoy does.
func (t *tries) perTry() time.Duration {
	if t.policy.Retry == nil || t.s.upgrade != "" {
		return 0
	}
	d := t.policy.PerTry
	if whole := t.s.forward.Timeout; whole > 0 && d >= whole {
		return 0
	}
	return d
}

// request builds what goes to the transport for one try.
func (t *tries) request(ctx context.Context, host *cluster.Host) *http.Request {
	s := t.s
	e := host.Endpoint()
	authority := t.host
	switch {
	case s.forward.AutoHost:
		authority = e.Name()
	case authority == "":
		authority = s.r.Host
	}
	u := &url.URL{Scheme: "http", Host: e.Address, RawQuery: s.r.URL.RawQuery, ForceQuery: s.r.URL.ForceQuery}
	if t.path == s.r.URL.EscapedPath() {
		u.Path, u.RawPath = s.r.URL.Path, s.r.URL.RawPath
	} else {
		path, query, ok := cutQuery(t.path)
		if ok {
			u.RawQuery = query
		}
		plain, err := url.PathUnescape(path)
		if err != nil {
			plain = path
		}
		u.Path, u.RawPath = plain, path
	}
	out := (&http.Request{
		Method:        s.r.Method,
		URL:           u,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        t.header,
		Host:          authority,
		ContentLength: s.r.ContentLength,
	}).WithContext(ctx)
	if s.body != nil {
		out.Body = s.body.attempt()
		out.Trailer = s.r.Trailer
	}
	return out
}

// failed judges a try without an answer.
func (t *tries) failed(a *attempt, err error) outcome {
	s := t.s
	if errors.Is(err, errOverflow) {
		a.drop()
		return outcome{reply: overflowReply(s.upstream.config.Object)}
	}
	defer a.end()
	if s.clientGone() {
		reply := s.clientFault()
		a.record.Flags, a.record.Reason = reply.flags, "client went away"
		return outcome{reply: reply}
	}
	f := classify(a.ctx, err)
	a.record.Flags, a.record.Reason = f.flags, f.reason(t)
	s.upstream.Report(a.host, f.outlierStatus())
	reply := f.reply(t.n > 1)
	if f.byConfig {
		reply.object = s.route.Object
	}
	out := outcome{reply: reply}
	if f.final {
		return out
	}
	if t.policy.Enabled() && t.policy.AfterReset(f.kind, a.sent()) {
		out.again, out.flags = t.mayRetry()
	}
	return out
}

// answered judges an answer's head.
func (t *tries) answered(a *attempt, res *http.Response) outcome {
	s := t.s
	a.record.Status = res.StatusCode
	if s.grpc {
		a.record.GRPC = first(res.Header, headerGRPCStatus)
	}
	switch {
	case !s.grpc || res.StatusCode != http.StatusOK:
		s.upstream.Report(a.host, res.StatusCode)
	case a.record.GRPC != "":
		s.upstream.Report(a.host, grpcToHTTP(a.record.GRPC))
	} // else the trailers tell
	out := outcome{attempt: a, response: res}
	limited := len(res.Header["X-Envoy-Ratelimited"]) > 0
	if !t.policy.Enabled() || res.StatusCode == http.StatusSwitchingProtocols ||
		!t.policy.AfterHeaders(res.StatusCode, a.record.GRPC, limited) {
		return out
	}
	out.again, out.flags = t.mayRetry()
	if !out.again {
		return out
	}
	a.record.Reason = "answered " + strconv.Itoa(res.StatusCode)
	if a.record.GRPC != "" {
		a.record.Reason = "gRPC status " + a.record.GRPC
	}
	discard(res)
	a.end()
	return outcome{again: true}
}

// mayRetry says whether limits allow another try; if not, which flag tells so.
func (t *tries) mayRetry() (bool, Flags) {
	s := t.s
	switch {
	case s.body != nil && !s.body.replayable():
		return false, 0 // too large, or gone: Envoy sets no flag either
	case t.n > int(t.policy.Num):
		return false, FlagURX
	case !t.retry:
		if !s.upstream.acquireRetry() {
			return false, FlagUO
		}
		t.retry = true
	}
	return true, 0
}

// backoff waits before the next try; false when the request ended meanwhile.
func (t *tries) backoff(ctx context.Context) bool {
	timer := time.NewTimer(t.policy.Backoff(t.n, rand.Float64()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-t.s.ending.done():
		return false
	}
}

// timedOut is the outcome when the request ended between two tries.
func (t *tries) timedOut(last outcome) outcome {
	if t.s.clientGone() {
		return outcome{reply: t.s.clientFault()}
	}
	if t.s.ending.reason() == nil {
		return last
	}
	reply := routeTimeout.reply(true)
	reply.object = t.s.route.Object
	return outcome{reply: reply}
}

// pass gives the client what the last try brought.
func (t *tries) pass(out outcome) {
	s := t.s
	if t.retry {
		defer s.upstream.retries.Add(-1)
	}
	s.x.Flags |= out.flags
	if out.response == nil {
		s.reply(out.reply)
		return
	}
	defer out.attempt.end()
	if s.body != nil {
		s.body.commit()
	}
	s.respond(out.attempt, out.response)
}

// discard reads the rest of a small answer, so that its connection can be used
// again, and drops a larger one.
func discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, 4<<10)
	_ = res.Body.Close()
}

// cutQuery splits a rewritten path, which may bring a query of its own.
func cutQuery(path string) (before, query string, ok bool) {
	for i := range len(path) {
		if path[i] == '?' {
			return path[:i], path[i+1:], true
		}
	}
	return path, "", false
}

// clientGone reports whether the client left before its answer was complete.
func (s *stream) clientGone() bool {
	return s.r.Context().Err() != nil || (s.body != nil && s.body.failure() != nil)
}

// clientFault is the answer to a client that left, or whose request turned out
// to be broken in its body.
func (s *stream) clientFault() localReply {
	if s.r.Context().Err() == nil && s.body != nil && isMalformed(s.body.failure()) {
		return localReply{status: http.StatusBadRequest, flags: FlagDPE, details: DetailsCodecError}
	}
	return localReply{flags: FlagDC, details: DetailsDownstreamDisconnect}
}

// isMalformed tells nonsense from a connection that ended.
func isMalformed(err error) bool {
	var netErr net.Error
	return err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &netErr) &&
		!errors.Is(err, http.ErrBodyReadAfterClose) && !errors.Is(err, context.Canceled)
}
