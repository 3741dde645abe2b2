package forward

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// maxCopies bounds the copies under way, maxCopyTime how long one may take
// where its route sets no limit.
const (
	maxCopies   = 256
	maxCopyTime = 30 * time.Second
)

// copies are the mirrored requests under way. Nobody waits for their answers.
type copies struct {
	mu      sync.Mutex
	cancels map[*stream]context.CancelFunc
	closed  bool
	running sync.WaitGroup
	dropped atomic.Uint64
}

// begin takes a copy in; false when there are too many.
func (c *copies) begin(s *stream, cancel context.CancelFunc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.cancels) >= maxCopies {
		c.dropped.Add(1)
		return false
	}
	if c.cancels == nil {
		c.cancels = make(map[*stream]context.CancelFunc)
	}
	c.cancels[s] = cancel
	c.running.Add(1)
	return true
}

func (c *copies) end(s *stream) {
	c.mu.Lock()
	delete(c.cancels, s)
	c.mu.Unlock()
	c.running.Done()
}

// close gives up what is under way and waits for it.
func (c *copies) close() {
	c.mu.Lock()
	c.closed = true
	for _, cancel := range c.cancels {
		cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// MirrorsDropped counts copies that were not sent: too many were under way, or
// the request's body was too large to keep.
func (e *Engine) MirrorsDropped() uint64 { return e.copies.dropped.Load() }

// mirror sends a copy of the request to each mirror that the dice choose, as
// soon as the client has sent the whole of it. What happens to a copy changes
// nothing for the client.
func (s *stream) mirror(st *state, t *tries) {
	if s.upgrade != "" {
		return
	}
	for i := range s.forward.Mirrors {
		m := &s.forward.Mirrors[i]
		u := st.clusters[m.Cluster]
		if u == nil || rand.Uint32N(1_000_000) >= m.Share {
			continue
		}
		c := s.copyFor(m, u)
		header := cloneHeader(t.header, 1)
		c.identify(header)
		host := t.host
		if host == "" {
			host = s.r.Host
		}
		if !m.KeepHost {
			host = shadowHost(host)
		}
		c.x.Authority = host
		ct := &tries{s: c, header: header, path: t.path, host: host}
		if s.body == nil {
			c.launch(ct, nil)
			continue
		}
		s.body.whenSent(func() {
			if s.body.overflow { // whenSent holds the lock
				s.e.copies.dropped.Add(1)
				return
			}
			c.launch(ct, s.body.buf)
		})
	}
}

// copyFor makes the copy's own stream, which shares with the original what
// neither changes.
func (s *stream) copyFor(m *route.Mirror, u *Upstream) *stream {
	c := &stream{e: s.e, cfg: s.cfg, grpc: s.grpc, route: s.route, vhost: s.vhost, table: s.table, upstream: u}
	c.forward = &route.Forward{Timeout: s.forward.Timeout}
	c.x = Exchange{
		Mirror: true, Begin: time.Now(), Listener: s.x.Listener, Direction: s.x.Direction, Protocol: s.x.Protocol,
		Source: s.x.Source, Destination: s.e.peers.unknown, Service: s.x.Service,
		Method: s.x.Method, Scheme: s.x.Scheme, Path: s.x.Path, Proto: s.x.Proto,
		RouteName: s.x.RouteName, RouteObject: s.x.RouteObject, Revision: s.x.Revision, Cluster: m.Cluster,
		RequestID: s.x.RequestID, ClientAddr: s.x.ClientAddr, TLS: s.x.TLS,
		RequestBytes: s.x.RequestBytes, Trace: s.x.Trace,
	}
	c.x.Trace.Span, c.x.Trace.Sampled = NewSpanID(), false
	c.x.Attempts = c.attempts[:0]
	if c.x.Revision == 0 {
		c.x.Revision = s.table.Config().Revision
	}
	// Its life is not the client's, and it reads no body but its own.
	c.r = s.r.WithContext(context.Background())
	c.r.Body = http.NoBody
	return c
}

// launch sends the copy on a goroutine of its own. It must not block.
func (s *stream) launch(t *tries, body []byte) {
	limit := s.forward.Timeout
	if limit <= 0 {
		limit = maxCopyTime
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, errRouteTimeout)
	if !s.e.copies.begin(s, cancel) {
		cancel()
		return
	}
	go func() {
		defer s.e.copies.end(s)
		defer cancel()
		if len(body) > 0 {
			s.body = newRequestBody(io.NopCloser(bytes.NewReader(body)), 0)
			s.r.ContentLength = int64(len(body))
			s.x.RequestBytes += int64(len(body))
		}
		s.sendCopy(ctx, t)
	}()
}

func (s *stream) sendCopy(ctx context.Context, t *tries) {
	out := t.next(ctx)
	x := &s.x
	if out.response == nil {
		x.Status, x.Details, x.Object = out.reply.status, out.reply.details, out.reply.object
		x.Flags |= out.reply.flags
	} else {
		res := out.response
		x.Status, x.Details = res.StatusCode, DetailsViaUpstream
		x.FirstByte = s.elapsed()
		s.destinationFrom(res.Header)
		n, err := io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		x.ResponseBytes = responseLineBytes + headerBytes(res.Header) + n
		s.settleGRPC(out.attempt, res)
		if err != nil {
			s.broken(out.attempt, readError{err})
		}
		out.attempt.end()
	}
	x.Duration = time.Since(x.Begin)
	x.Headers = HeaderView{Request: t.header}
	if n := len(x.Attempts); n > 0 {
		s.tellDestination(&x.Attempts[n-1])
	}
	s.e.Observe(x)
}

// shadowHost marks a copy's Host, as Envoy does.
func shadowHost(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return net.JoinHostPort(name+"-shadow", port)
	}
	return host + "-shadow"
}
