package forward

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// attempt is one try under way. The transport's hooks may be called from its
// own goroutines, also after the try was given up, so what they note is
// atomic; all times are nanoseconds after the exchange's begin.
type attempt struct {
	s      *stream
	record Attempt
	host   *cluster.Host
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  deadline // per try
	lease  *lease   // nil where connections have no limit
	req    *http.Request
	counts bool // in the cluster's requests

	wantConn  atomic.Int64
	dialed    atomic.Int64 // when a connection was begun for it
	gotConn   atomic.Int64
	wroteHead atomic.Int64
	firstByte atomic.Int64
	peer      atomic.Pointer[peerID]       // of a secured connection
	simple    atomic.Bool                  // TLS that is not the mesh's
	kept      atomic.Pointer[endpointConn] // an HTTP/1 connection that others used before
	quiet     atomic.Uint64                // how often it had been read from by then
	leftover  atomic.Bool                  // the answer is not to this request
	ended     bool
}

// peerID is who an endpoint proved to be.
type peerID struct{ principal string }

func newAttempt(parent context.Context, s *stream, host *cluster.Host) *attempt {
	host.Acquire()
	a := &attempt{s: s, host: host}
	e := host.Endpoint()
	a.record = Attempt{Endpoint: e.Address, Workload: e.Workload, SpanID: s.x.Trace.Span, Start: a.since()}
	if len(s.x.Attempts) > 0 {
		a.record.SpanID = NewSpanID()
	}
	ctx, cancel := context.WithCancelCause(parent)
	a.cancel = cancel
	s.ending.covers(cancel)
	a.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectStart:         func(string, string) { a.dialed.CompareAndSwap(0, int64(a.since())) },
		GotConn:              a.connected,
		WroteHeaders:         func() { a.note(&a.wroteHead) },
		GotFirstResponseByte: a.answered,
	})
	return a
}

func (a *attempt) since() time.Duration { return time.Since(a.s.x.Begin) }

func (a *attempt) note(at *atomic.Int64) { at.Store(int64(a.since())) }

// sent reports whether part of the request went out.
func (a *attempt) sent() bool { return a.wroteHead.Load() != 0 }

// roundTrip sends the request and waits for the answer's head. The per-try
// timeout begins, as the route's, when the client has sent everything.
func (a *attempt) roundTrip(req *http.Request, perTry time.Duration) (*http.Response, error) {
	if perTry > 0 {
		a.s.whenSent(func() { a.timer.start(perTry, func() { a.cancel(errPerTry) }) })
	}
	res, err := a.send(req)
	if fired := a.timer.stop(); fired && err == nil {
		// The answer and the timeout met; the body is dead already.
		_ = res.Body.Close()
		res, err = nil, errPerTry
	}
	if a.leftover.Load() && err == nil {
		_ = res.Body.Close()
		res, err = nil, errLeftover
	}
	a.account()
	return res, err
}

// send waits for a connection, where those have a limit, and sends the request.
func (a *attempt) send(req *http.Request) (*http.Response, error) {
	u := a.s.upstream
	if !u.acquireRequest() {
		return nil, errOverflow
	}
	a.counts = true
	a.note(&a.wantConn)
	if limited(u.config) {
		var err error
		if a.lease, err = u.pool.acquire(a.ctx, req.URL.Host, &u.config.Limits); err != nil {
			return nil, err
		}
		req = req.WithContext(context.WithValue(a.ctx, leaseKey{}, a.lease))
	}
	a.req = req
	return u.transportTo(a.host.Endpoint()).RoundTrip(req)
}

// connected is called when the request has its connection, before it is sent.
func (a *attempt) connected(info httptrace.GotConnInfo) {
	a.note(&a.gotConn)
	if info.Reused {
		a.dialed.Store(0) // another became free meanwhile
	}
	a.keepsFrom(info)
	a.lease.connected()
	if principal, ok := principalOf(info.Conn); ok {
		a.peer.Store(&peerID{principal})
	}
	a.simple.Store(isOriginated(info.Conn))
	most := int64(a.s.upstream.config.Limits.MaxRequestsPerConnection)
	if c, ok := info.Conn.(*pooledConn); ok && most > 1 && c.uses.Add(1) >= most {
		a.req.Header["Connection"] = []string{"close"} // its last request
	}
}

// keepsFrom begins to listen for the endpoint on a connection that was kept:
// what was read before this request is no answer to it.
func (a *attempt) keepsFrom(info httptrace.GotConnInfo) {
	e := endpoint(info.Conn)
	if e == nil || !info.Reused || a.s.upstream.config.HTTP2 {
		a.kept.Store(nil)
		return
	}
	a.quiet.Store(e.reads.Load())
	a.kept.Store(e)
}

// answered is called as the answer begins, while the connection is surely this
// request's: an answer without a body gives it back before anybody is told.
func (a *attempt) answered() {
	a.note(&a.firstByte)
	if e := a.kept.Load(); e != nil && e.reads.Load() == a.quiet.Load() {
		a.leftover.Store(true)
		_ = e.Close() // whoever gets it next would have the answer to this request
	}
}

// account adds this sidecar's own share of the try: building and writing the
// request and reading the answer's head, but not waiting for a connection or
// for the endpoint.
func (a *attempt) account() {
	start := int64(a.record.Start)
	now := int64(a.since())
	a.record.Reached = a.gotConn.Load() != 0
	if want, got := a.wantConn.Load(), a.gotConn.Load(); want != 0 && got >= want {
		start += got - want
	}
	a.record.Queue, a.record.Connect = a.waits(now)
	if wrote := a.wroteHead.Load(); wrote > start {
		a.s.own += time.Duration(wrote - start)
	}
	if byte1 := a.firstByte.Load(); byte1 != 0 && now > byte1 {
		a.s.own += time.Duration(now - byte1)
	}
}

// waits divides the time until the try had its connection, or until now when it
// got none.
func (a *attempt) waits(now int64) (queue, connect time.Duration) {
	want, dialed, got := a.wantConn.Load(), a.dialed.Load(), a.gotConn.Load()
	if got == 0 {
		got = now
	}
	if want == 0 || got < want {
		return 0, 0
	}
	if dialed < want {
		return time.Duration(got - want), 0
	}
	return time.Duration(dialed - want), time.Duration(max(0, got-dialed))
}

// end completes the record and frees the try's context. It may be called
// twice.
func (a *attempt) end() {
	if a.ended {
		return
	}
	a.ended = true
	a.cancel(nil)
	a.free()
	a.record.Duration = a.since() - a.record.Start
	a.settle()
	a.s.x.Connections += a.host.TakeOpened()
	a.s.x.Attempts = append(a.s.x.Attempts, a.record)
}

// settle notes who the endpoint proved to be.
func (a *attempt) settle() {
	if p := a.peer.Load(); p != nil {
		a.record.Secure, a.record.Principal = true, p.principal
	}
	a.record.Encrypted = a.record.Secure || a.simple.Load()
}

// drop ends a try that was turned away before it began: it is none.
func (a *attempt) drop() {
	a.ended = true
	a.cancel(nil)
	a.free()
}

// free gives back what counts against limits.
func (a *attempt) free() {
	a.host.Release()
	a.lease.release()
	if a.counts {
		a.s.upstream.releaseRequest()
	}
}
