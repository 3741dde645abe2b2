package forward

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

// leaveAfter is how long connections to an endpoint that went stay at least: a
// request that drew it just before still finds them.
const leaveAfter = time.Second

// conns are a cluster's HTTP connections, by address. Those to an endpoint that
// went would idle in the transport until their timeout; they are closed when no
// request is under way on them.
type conns struct {
	mu    sync.Mutex
	open  map[string][]*endpointConn
	gone  map[string]*cluster.Host // endpoints that went and have connections
	timer *time.Timer              // nil while there are none
}

// endpointConn is one of them.
type endpointConn struct {
	net.Conn
	of      *conns
	address string
	once    sync.Once
	reads   atomic.Uint64 // that brought something
}

func (s *conns) add(c net.Conn, address string) net.Conn {
	e := &endpointConn{Conn: c, of: s, address: address}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[string][]*endpointConn)
	}
	s.open[address] = append(s.open[address], e)
	return e
}

// Read reads, and counts when the endpoint said something.
func (c *endpointConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.reads.Add(1)
	}
	return n, err
}

// Close closes the connection and forgets it.
func (c *endpointConn) Close() error {
	c.once.Do(func() { c.of.forget(c) })
	return c.Conn.Close()
}

func (s *conns) forget(c *endpointConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(s.open[c.address], func(o *endpointConn) bool { return o == c })
	if len(left) == 0 {
		delete(s.open, c.address)
		return
	}
	s.open[c.address] = left
}

// change takes note of the endpoints that went and of those that came back.
func (s *conns) change(before, after *cluster.Hosts) {
	if before == nil {
		return
	}
	here := make(map[string]bool, len(after.All()))
	for _, h := range after.All() {
		here[h.Endpoint().Address] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for address := range s.gone {
		if here[address] {
			delete(s.gone, address)
		}
	}
	for _, h := range before.All() {
		if address := h.Endpoint().Address; !here[address] && len(s.open[address]) > 0 {
			if s.gone == nil {
				s.gone = make(map[string]*cluster.Host)
			}
			s.gone[address] = h
		}
	}
	if len(s.gone) > 0 && s.timer == nil {
		s.timer = time.AfterFunc(leaveAfter, s.leave)
	}
}

// leave closes what nobody uses, and comes again while somebody does.
func (s *conns) leave() {
	s.mu.Lock()
	var idle []*endpointConn
	for address, h := range s.gone {
		if h.Active() == 0 {
			idle = append(idle, s.open[address]...)
			delete(s.gone, address)
		}
	}
	if s.timer = nil; len(s.gone) > 0 {
		s.timer = time.AfterFunc(leaveAfter, s.leave)
	}
	s.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// stop forgets who went: the cluster itself does.
func (s *conns) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.gone)
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// endpoint gives what is noted of an HTTP connection, nil of another.
func endpoint(c net.Conn) *endpointConn {
	if p, ok := c.(*pooledConn); ok {
		c = p.Conn
	}
	e, _ := c.(*endpointConn)
	return e
}

// beneath gives a connection without what is around it for counting.
func beneath(c net.Conn) net.Conn {
	if p, ok := c.(*pooledConn); ok {
		c = p.Conn
	}
	if e, ok := c.(*endpointConn); ok {
		c = e.Conn
	}
	if b, ok := c.(*tcpconn.Batch); ok {
		c = b.Conn
	}
	return c
}
