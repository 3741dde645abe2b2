package forward

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// pool holds a cluster to its limits on HTTP/1.1 connections and on requests
// that wait for one. As in Envoy a request is pending from when it finds no
// idle connection until it has one, an endpoint without a connection may always
// open one, and a request that finds the queue full is turned away at once.
//
// net/http opens and reuses the connections; the pool counts them as they open
// and close, and lets no more requests through than there may be connections.
type pool struct {
	mu      sync.Mutex
	open    int // connections, those being opened too
	hosts   map[string]*hostPool
	pending atomic.Int64
}

// hostPool is one endpoint's part.
type hostPool struct {
	open    int
	busy    int      // leases
	waiting []*lease // first in, first out
}

// lease lets one try use a connection to its endpoint.
type lease struct {
	pool    *pool
	limits  *cluster.Limits
	address string
	ready   chan struct{} // closed when a waiting lease is granted
	granted bool          // under the pool's lock

	reserved   bool        // may open a connection, which is counted already
	dialed     atomic.Bool // and has begun to
	connecting atomic.Bool // counts as pending until there is a connection
}

type leaseKey struct{}

// errOverflow turns a request away: a circuit breaker is open.
var errOverflow = errors.New("overflow")

// limited reports whether the cluster needs a pool of our own at all.
func limited(c *cluster.Config) bool {
	l := &c.Limits
	return !c.HTTP2 && (l.MaxConnections > 0 || l.MaxPending > 0 || l.MaxRequestsPerConnection > 1)
}

// acquire waits for a connection to be free, or free to be opened.
func (p *pool) acquire(ctx context.Context, address string, limits *cluster.Limits) (*lease, error) {
	l := &lease{pool: p, limits: limits, address: address}
	p.mu.Lock()
	hp := p.host(address)
	if len(hp.waiting) == 0 && hp.open > hp.busy {
		p.grant(hp, l)
		p.mu.Unlock()
		return l, nil
	}
	if limits.MaxPending > 0 && p.pending.Load() >= int64(limits.MaxPending) {
		p.tidy(address, hp)
		p.mu.Unlock()
		return nil, errOverflow
	}
	p.pending.Add(1)
	if len(hp.waiting) == 0 && p.mayOpen(hp, limits) {
		p.grant(hp, l)
		p.mu.Unlock()
		return l, nil
	}
	l.ready = make(chan struct{})
	hp.waiting = append(hp.waiting, l)
	p.mu.Unlock()
	select {
	case <-l.ready:
		return l, nil
	case <-ctx.Done():
		p.abandon(l)
		return nil, context.Cause(ctx)
	}
}

func (p *pool) host(address string) *hostPool {
	if p.hosts == nil {
		p.hosts = make(map[string]*hostPool)
	}
	hp := p.hosts[address]
	if hp == nil {
		hp = &hostPool{}
		p.hosts[address] = hp
	}
	return hp
}

// tidy forgets an endpoint that nothing is known of.
func (p *pool) tidy(address string, hp *hostPool) {
	if hp.open == 0 && hp.busy == 0 && len(hp.waiting) == 0 {
		delete(p.hosts, address)
	}
}

func (p *pool) mayOpen(hp *hostPool, limits *cluster.Limits) bool {
	return limits.MaxConnections == 0 || p.open < int(limits.MaxConnections) || hp.open == 0
}

// grant gives a lease the right to a connection: an idle one, else a new one,
// for which the lease was counted as pending before.
func (p *pool) grant(hp *hostPool, l *lease) {
	l.granted = true
	if hp.open <= hp.busy {
		hp.open++
		p.open++
		l.reserved = true
		l.connecting.Store(true)
	} else if l.ready != nil {
		p.pending.Add(-1)
	}
	hp.busy++
	if l.ready != nil {
		close(l.ready)
	}
}

// next grants to those who wait what has become free.
func (p *pool) next() {
	for address, hp := range p.hosts {
		for len(hp.waiting) > 0 && (hp.open > hp.busy || p.mayOpen(hp, hp.waiting[0].limits)) {
			l := hp.waiting[0]
			hp.waiting = hp.waiting[1:]
			p.grant(hp, l)
		}
		p.tidy(address, hp)
	}
}

// abandon takes a lease back whose request has ended before it was granted, or
// just then.
func (p *pool) abandon(l *lease) {
	p.mu.Lock()
	if l.granted {
		p.mu.Unlock()
		l.release()
		return
	}
	defer p.mu.Unlock()
	hp := p.hosts[l.address]
	for i, w := range hp.waiting {
		if w == l {
			hp.waiting = append(hp.waiting[:i], hp.waiting[i+1:]...)
			p.pending.Add(-1)
			break
		}
	}
	p.tidy(l.address, hp)
}

// connected ends the lease's time as pending.
func (l *lease) connected() {
	if l != nil && l.connecting.CompareAndSwap(true, false) {
		l.pool.pending.Add(-1)
	}
}

// release gives the right back; the connection stays open or not, as it may.
func (l *lease) release() {
	if l == nil {
		return
	}
	l.connected()
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	hp := p.host(l.address)
	hp.busy--
	if l.reserved && l.dialed.CompareAndSwap(false, true) {
		hp.open-- // an idle connection turned up in time
		p.open--
	}
	p.next()
}

// counted wraps dial so that the pool knows each connection of its own.
func (p *pool) counted(ctx context.Context, address string, dial func() (net.Conn, error)) (net.Conn, error) {
	l, _ := ctx.Value(leaseKey{}).(*lease)
	if l == nil || !l.reserved || !l.dialed.CompareAndSwap(false, true) {
		p.mu.Lock()
		p.host(address).open++
		p.open++
		p.mu.Unlock()
	}
	conn, err := dial()
	if err != nil {
		p.closed(address)
		return nil, err
	}
	return &pooledConn{Conn: conn, pool: p, address: address}, nil
}

func (p *pool) closed(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.host(address).open--
	p.open--
	p.next()
}

// levels gives how many connections are open and how many requests wait.
func (p *pool) levels() (open, pending int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, int(p.pending.Load())
}

// pooledConn tells the pool when it closes, and counts its requests.
type pooledConn struct {
	net.Conn
	pool    *pool
	address string
	uses    atomic.Int64
	once    sync.Once
}

// Close closes the connection.
func (c *pooledConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.pool.closed(c.address) })
	return err
}
