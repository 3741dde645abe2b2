package scrape

import (
	"context"
	"net"
	"sync"
)

// conns are the open connections to targets. The scrape manager lets a scrape
// that runs come to its end before it stops, which a target that hangs can
// draw out to the timeout; closing the connections ends it at once.
type conns struct {
	mu     sync.Mutex
	open   map[*conn]struct{}
	closed bool
}

type conn struct {
	net.Conn
	owner *conns
}

func (c *conns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		raw.Close()
		return nil, net.ErrClosed
	}
	if c.open == nil {
		c.open = make(map[*conn]struct{})
	}
	wrapped := &conn{Conn: raw, owner: c}
	c.open[wrapped] = struct{}{}
	return wrapped, nil
}

// close closes all connections, and those that are still to come.
func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for o := range c.open {
		o.Conn.Close()
	}
	clear(c.open)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}
