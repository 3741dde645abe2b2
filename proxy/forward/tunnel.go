package forward

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// mayConnect turns a CONNECT request away that neither the listener nor its route
// allows: a sidecar is no open proxy. Where the listener does, a request without a
// route is answered as any other.
func (s *stream) mayConnect(r *route.Route) bool {
	switch {
	case r == nil && s.cfg.Connect, r != nil && (r.Forward == nil || r.Forward.Tunnel):
		return true
	}
	s.reply(localReply{
		status: http.StatusForbidden, details: DetailsUpgradeFailed,
		body: "CONNECT is not allowed here: no route with connect_config takes it",
	})
	return false
}

// connectWithRetries opens a connection to an endpoint and joins the client with
// it. As in Envoy the route's timeout does not count: the request has no end.
func (s *stream) connectWithRetries() {
	ctx := s.r.Context()
	t := &tries{s: s, policy: s.forward.Policy()}
	s.own += time.Since(s.x.Begin) - s.held
	for {
		conn, out := t.connect(ctx)
		if conn != nil {
			s.tunnel(out.attempt, conn)
			break
		}
		if !out.again {
			s.x.Flags |= out.flags
			s.reply(out.reply)
			break
		}
		if !t.backoff(ctx) {
			s.reply(t.timedOut(out).reply)
			break
		}
	}
	if t.retry {
		s.upstream.retries.Add(-1)
	}
}

// connect makes one try.
func (t *tries) connect(ctx context.Context) (net.Conn, outcome) {
	host, none := t.choose()
	if host == nil {
		return nil, none
	}
	a := newAttempt(ctx, t.s, host)
	conn, err := a.dial()
	if err != nil {
		return nil, t.failed(a, err)
	}
	t.s.upstream.Report(host, http.StatusOK)
	return conn, outcome{attempt: a}
}

// dial opens a connection, which counts against the cluster's limit until
// ReleaseConn.
func (a *attempt) dial() (net.Conn, error) {
	u := a.s.upstream
	if !u.AcquireConn() {
		return nil, errOverflow
	}
	a.note(&a.wantConn)
	e := a.host.Endpoint()
	conn, err := u.dial(a.ctx, e.Address, u.tlsTo(e))
	if err != nil {
		u.ReleaseConn()
	} else {
		a.note(&a.gotConn)
		if principal, ok := principalOf(conn); ok {
			a.peer.Store(&peerID{principal})
		}
		a.simple.Store(isOriginated(conn))
	}
	a.account()
	return conn, err
}

// tunnel answers the client and passes bytes both ways until both have ended.
func (s *stream) tunnel(a *attempt, conn net.Conn) {
	defer a.end()
	defer s.upstream.ReleaseConn()
	defer func() { _ = conn.Close() }()
	s.x.Status, s.x.Details = http.StatusOK, DetailsViaUpstream
	h := s.w.Header()
	if s.answersPeer() {
		h[headerPeer], h[headerPeerID] = s.e.ownMetadata, s.e.ownID
	}
	h[headerServiceTime] = []string{strconv.FormatInt((s.elapsed() - a.record.Start).Milliseconds(), 10)}
	s.applyResponseOps(h)
	client, err := s.accepted(h)
	if err != nil {
		s.x.Flags |= FlagDC
		s.x.Details = DetailsDownstreamDisconnect
		return
	}
	sent, received := relay(client, side{Reader: conn, Writer: conn, endWrite: func() { halfClose(conn) }, close: conn.Close})
	s.x.RequestBytes += sent
	s.sentBytes += received
}

// accepted says yes to the client, and gives its side of the tunnel.
func (s *stream) accepted(h http.Header) (side, error) {
	control := http.NewResponseController(s.w)
	if s.r.ProtoMajor > 1 {
		s.head(http.StatusOK)
		if err := control.Flush(); err != nil {
			return side{}, err
		}
		// The stream's end goes out when the handler returns, so that the service's
		// end is the client's, too.
		return side{Reader: s.r.Body, Writer: flushing{s.w, control}, endWrite: func() { _ = s.r.Body.Close() }, close: s.r.Body.Close}, nil
	}
	conn, buffered, err := control.Hijack()
	if err != nil {
		return side{}, err
	}
	s.wroteHead, s.x.FirstByte = true, s.elapsed()
	// By hand: net/http would give the answer a body.
	if _, err = fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n"); err == nil {
		err = h.Write(conn)
	}
	if err == nil {
		_, err = fmt.Fprint(conn, "\r\n")
	}
	if err != nil {
		_ = conn.Close()
		return side{}, err
	}
	// Bytes that the client sent right behind its request are still buffered.
	from := io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), conn)
	return side{Reader: from, Writer: conn, endWrite: func() { halfClose(conn) }, close: conn.Close}, nil
}

// flushing sends each piece at once.
type flushing struct {
	w       io.Writer
	control *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}

// side is one end of a tunnel.
type side struct {
	io.Reader
	io.Writer
	endWrite func() // no more will be written
	close    func() error
}

// relay copies both ways until both have ended. One that breaks ends the other.
func relay(client, service side) (sent, received int64) {
	pass := func(to, from side) int64 {
		n, err := io.Copy(to.Writer, from.Reader)
		if err != nil {
			_ = client.close()
			_ = service.close()
		} else {
			to.endWrite()
		}
		return n
	}
	up := make(chan int64, 1)
	go func() { up <- pass(service, client) }()
	received = pass(client, service)
	sent = <-up
	_ = client.close()
	return sent, received
}

func halfClose(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		_ = w.CloseWrite()
		return
	}
	_ = c.Close()
}
