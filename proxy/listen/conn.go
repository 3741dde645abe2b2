package listen

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

type connKey struct{}

// conn is an accepted connection: counted, closable from outside, and watched
// for requests that net/http refuses before any handler sees them.
type conn struct {
	net.Conn // what the engines read and write; set before they have it
	raw      net.Conn
	tls      atomic.Pointer[tls.Conn] // nil: none, or not yet
	plain    atomic.Bool              // it is settled that there is none
	info     Info
	chosen   atomic.Bool // it is settled by which chain it comes; terms are that chain's
	terms    *ServerTLS
	hello    opening
	socket   *socket
	dst      netip.AddrPort // that the client had dialled, when it was intercepted
	once     sync.Once
	unread   atomic.Bool                   // a request is coming in and no handler has it yet
	batch    atomic.Pointer[tcpconn.Batch] // nil unless HTTP/2 is spoken
}

// Close closes the connection and counts it out, once: not before its last words
// are said, or a process that drains would end without them.
func (c *conn) Close() error {
	defer c.once.Do(func() {
		c.socket.set.active.Add(-1)
		c.socket.mu.Lock()
		delete(c.socket.conns, c)
		c.socket.mu.Unlock()
	})
	if b := c.batch.Load(); b != nil {
		return b.Close()
	}
	if t := c.tls.Load(); t != nil {
		return t.Close()
	}
	return c.raw.Close()
}

// cut closes the connection without last words, for which Close may wait.
func (c *conn) cut() {
	if c.batch.Load() != nil {
		_ = c.raw.Close()
	}
	_ = c.Close()
}

// Write passes bytes on. An HTTP/1 error that goes out while no handler has
// the request is net/http's own: the request could not be read.
func (c *conn) Write(p []byte) (int, error) {
	if c.unread.Load() && len(p) >= 12 && bytes.HasPrefix(p, []byte("HTTP/1.")) && p[9] >= '4' {
		c.unread.Store(false)
		c.refused(p[9:12])
	}
	if b := c.batch.Load(); b != nil {
		return b.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *conn) refused(code []byte) {
	c.socket.set.broken.Add(1)
	status, err := strconv.Atoi(string(code))
	cfg := c.socket.listener(c)
	if err != nil || cfg == nil || c.socket.set.opts.Engines.Refused == nil {
		return
	}
	c.socket.set.opts.Engines.Refused(cfg, c.RemoteAddr(), status)
}

// CloseWrite half-closes, for the TCP engine.
func (c *conn) CloseWrite() error {
	if t := c.tls.Load(); t != nil {
		return t.CloseWrite()
	}
	if s, ok := c.raw.(interface{ CloseWrite() error }); ok {
		return s.CloseWrite()
	}
	return nil
}

// writePatience is how long an HTTP/2 client may take nothing of what it is sent.
// net/http's own WriteByteTimeout sets two deadlines for each write.
const writePatience = 30 * time.Second

// speaksHTTP2 has writes gathered, and given up when the client takes nothing,
// from the connection's first request on.
func (c *conn) speaksHTTP2() {
	if c.batch.Load() != nil || !c.batch.CompareAndSwap(nil, tcpconn.NewBatch(c.Conn)) {
		return
	}
	if s, ok := c.raw.(*tcpconn.Conn); ok {
		s.GiveUpAfter(writePatience)
	}
}

// Socket gives the socket of a connection whose bytes are the socket's own, and
// those that were read from it already. It is nil for others, as under TLS.
func Socket(c net.Conn) (s *tcpconn.Conn, ahead []byte) {
	if accepted, ok := c.(*conn); ok {
		c = accepted.Conn
	}
	if r, ok := c.(*replay); ok {
		c, ahead = r.Conn, r.rest
	}
	s, _ = c.(*tcpconn.Conn)
	return s, ahead
}

// connState notes when a request begins to come in.
func connState(nc net.Conn, state http.ConnState) {
	if c, ok := nc.(*conn); ok && state == http.StateActive {
		c.unread.Store(true)
	}
}
