package forward

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

const (
	defaultConnectTimeout = 10 * time.Second
	defaultPoolIdle       = time.Hour
	// maxResponseHeader is Envoy's limit for an answer's header section.
	maxResponseHeader = 60 << 10
)

// Upstream is a cluster at run time: its endpoints and the connections to
// them. A new configuration that leaves the connections' nature alone keeps
// them.
type Upstream struct {
	config   *cluster.Config
	declared []cluster.Endpoint
	identity *identity.Source
	// Connections under the mesh's TLS are never pooled with others: an endpoint
	// that changes over keeps its address.
	transport, meshTransport *http.Transport
	service                  mesh.Service
	*gauges
}

// gauges outlive a change of configuration, as the connections do.
type gauges struct {
	hosts    atomic.Pointer[cluster.Hosts]
	requests atomic.Int64
	retries  atomic.Int64
	conns    atomic.Int64 // TCP connections
	retired  atomic.Bool
	pool     pool
	http     conns
	detector atomic.Pointer[cluster.Detector]

	destinations destinations // of an OriginalDst cluster
	resolved     resolved     // of a DNS cluster

	mu      sync.Mutex // of changes of hosts and what watches them
	current *cluster.Config
	sweeper *time.Timer // nil while there is nothing to sweep
	warmer  *time.Timer // nil while no endpoint warms up
	log     *slog.Logger

	ejections func(Ejection) // nil: nobody wants to know
}

func (e *Engine) newUpstream(c *cluster.Config, endpoints []cluster.Endpoint, previous *Upstream) *Upstream {
	if previous != nil && sameSlice(previous.declared, endpoints) && reflect.DeepEqual(previous.config, c) {
		return previous // of a large mesh little changes at a time
	}
	own := *c // c is part of a list that must not be held on to
	c = &own
	u := &Upstream{config: c, declared: endpoints, identity: e.opts.Identity}
	if len(c.Services) > 0 {
		u.service = c.Services[0]
	}
	if previous != nil && sameConnections(previous.config, c) {
		u.transport, u.meshTransport, u.gauges = previous.transport, previous.meshTransport, previous.gauges
	} else {
		u.gauges = &gauges{log: e.opts.Logger, ejections: e.opts.Ejections, resolved: resolved{names: e.names}}
		u.transport = u.newTransport(c.TLS)
		if c.MeshTLS != nil {
			u.meshTransport = u.newTransport(c.MeshTLS)
		}
	}
	u.setEndpoints(endpoints)
	return u
}

// sameSlice reports whether two lists are one.
func sameSlice(a, b []cluster.Endpoint) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameConnections reports whether connections made for a also serve b.
func sameConnections(a, b *cluster.Config) bool {
	return a.HTTP2 == b.HTTP2 && a.OriginalDst == b.OriginalDst && a.ByHost == b.ByHost &&
		a.ConnectTimeout == b.ConnectTimeout && a.IdleTimeout == b.IdleTimeout &&
		(a.Limits.MaxRequestsPerConnection == 1) == (b.Limits.MaxRequestsPerConnection == 1) &&
		a.Limits.MaxConnections == b.Limits.MaxConnections && limited(a) == limited(b) &&
		a.TLS.Equal(b.TLS) && a.MeshTLS.Equal(b.MeshTLS)
}

// setEndpoints swaps the endpoint list; requests under way end where they are.
func (u *Upstream) setEndpoints(endpoints []cluster.Endpoint) {
	g := u.gauges
	g.mu.Lock()
	before := g.current
	g.current = u.config
	g.detect(before)
	g.exchange(cluster.NewHosts(u.config, g.resolve(endpoints), g.hosts.Load()))
	g.mu.Unlock()
	g.watch()
	g.warm()
}

// exchange puts other hosts in the place of those that are there. The lock is
// held.
func (g *gauges) exchange(hosts *cluster.Hosts) {
	g.http.change(g.hosts.Swap(hosts), hosts)
}

// Config gives the cluster's configuration; only to be read.
func (u *Upstream) Config() *cluster.Config { return u.config }

// Hosts gives the endpoints as they are now.
func (u *Upstream) Hosts() *cluster.Hosts { return u.hosts.Load() }

// Service is what the cluster stands for.
func (u *Upstream) Service() mesh.Service { return u.service }

// transportTo gives the connections that an endpoint is reached by.
func (u *Upstream) transportTo(e *cluster.Endpoint) *http.Transport {
	if u.meshTransport != nil && u.tlsTo(e) == u.config.MeshTLS {
		return u.meshTransport
	}
	return u.transport
}

// tlsTo is how an endpoint is connected to. A sidecar that was given no identity
// takes what the cluster has for others; one that lost it fails.
func (u *Upstream) tlsTo(e *cluster.Endpoint) *cluster.TLS {
	if u.identity == nil {
		return u.config.TLS
	}
	return u.config.TLSTo(e)
}

// closeIdle lets go of connections that no request uses.
func (u *Upstream) closeIdle() {
	u.transport.CloseIdleConnections()
	if u.meshTransport != nil {
		u.meshTransport.CloseIdleConnections()
	}
}

func (u *Upstream) newTransport(t *cluster.TLS) *http.Transport {
	var protocols http.Protocols
	if u.config.HTTP2 {
		protocols.SetUnencryptedHTTP2(true)
	} else {
		protocols.SetHTTP1(true)
	}
	idle := u.config.IdleTimeout
	if idle <= 0 {
		idle = defaultPoolIdle
	}
	g := u.gauges
	http2 := u.config.HTTP2
	t = httpALPN(t, http2)
	connect := func(ctx context.Context, _, address string) (net.Conn, error) {
		conn, err := u.dial(ctx, address, t)
		if err != nil {
			return nil, err
		}
		if http2 {
			conn = tcpconn.NewBatch(conn)
		}
		return g.http.add(conn, address), nil
	}
	most := 0
	if limited(u.config) {
		most = int(u.config.Limits.MaxConnections)
		plain := connect
		connect = func(ctx context.Context, network, address string) (net.Conn, error) {
			return g.pool.counted(ctx, address, func() (net.Conn, error) { return plain(ctx, network, address) })
		}
	}
	return &http.Transport{
		Protocols:              &protocols,
		DialContext:            connect,
		MaxConnsPerHost:        most,
		MaxIdleConns:           most, // 0 = no limit
		DisableKeepAlives:      u.config.Limits.MaxRequestsPerConnection == 1,
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    1024,
		IdleConnTimeout:        idle,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
		WriteBufferSize:        4 << 10,
		ReadBufferSize:         4 << 10,
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               30 * time.Second,
		},
	}
}

// Levels are what a cluster is doing now, against its limits.
type Levels struct {
	Requests, Pending, Retries, Connections int
	Ejected                                 int
	Ejections                               uint64 // so far
	Panics                                  bool
}

// Levels gives the cluster's levels. Pending and HTTP connections are known
// where they are limited.
func (u *Upstream) Levels() Levels {
	hosts := u.hosts.Load()
	open, pending := u.pool.levels()
	l := Levels{
		Requests: int(u.requests.Load()), Pending: pending, Retries: int(u.retries.Load()),
		Connections: open + int(u.conns.Load()), Ejected: hosts.Ejected(), Panics: hosts.Panics(),
	}
	if d := u.detector.Load(); d != nil {
		l.Ejections = d.Ejections()
	}
	return l
}

// Dial opens a TCP connection to a host of the cluster. The error is a
// *ConnectError.
func (u *Upstream) Dial(ctx context.Context, h *cluster.Host) (net.Conn, error) {
	return u.dial(ctx, h.Endpoint().Address, u.tlsTo(h.Endpoint()))
}

// AcquireConn counts a TCP connection in; false when the limit is reached.
func (u *Upstream) AcquireConn() bool { return acquire(&u.conns, u.config.Limits.MaxConnections) }

// ReleaseConn counts it out.
func (u *Upstream) ReleaseConn() { u.conns.Add(-1) }

// acquireRetry counts a request in that is being tried again; false when there
// are too many.
func (u *Upstream) acquireRetry() bool {
	b := u.config.Limits.Budget
	if b == nil {
		return acquire(&u.retries, u.config.Limits.MaxRetries)
	}
	if !b.Allows(u.retries.Add(1)-1, u.requests.Load()) {
		u.retries.Add(-1)
		return false
	}
	return true
}

func (u *Upstream) acquireRequest() bool { return acquire(&u.requests, u.config.Limits.MaxRequests) }

func (u *Upstream) releaseRequest() {
	u.requests.Add(-1)
	if u.retired.Load() {
		u.closeIdle()
	}
}

// retire lets go of the connections: idle ones now, others when their request
// has ended.
func (u *Upstream) retire() {
	u.retired.Store(true)
	u.mu.Lock()
	u.unwatch()
	u.resolved.stop()
	u.mu.Unlock()
	u.http.stop()
	u.closeIdle()
}

func acquire(n *atomic.Int64, limit uint32) bool {
	if now := n.Add(1); limit > 0 && now > int64(limit) {
		n.Add(-1)
		return false
	}
	return true
}

// ConnectError says that no connection came to be, so no byte was sent.
type ConnectError struct {
	Err     error
	Timeout bool
}

// Error tells the cause.
func (e *ConnectError) Error() string { return "connect: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// dial connects and, where t says so, encrypts, within the connect timeout.
func (u *Upstream) dial(ctx context.Context, address string, t *cluster.TLS) (net.Conn, error) {
	timeout := u.config.ConnectTimeout
	if timeout <= 0 {
		timeout = defaultConnectTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := net.Dialer{KeepAlive: 15 * time.Second}
	if u.config.ByHost {
		d.ControlContext = notItself
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		conn = tcpconn.Wrap(conn)
	}
	if err == nil && t != nil {
		plain := conn
		if conn, err = u.encrypt(ctx, plain, u.knownAs(t, address)); err != nil {
			_ = plain.Close()
		}
	}
	if err != nil {
		var netErr net.Error
		return nil, &ConnectError{Err: err, Timeout: errors.As(err, &netErr) && netErr.Timeout() || errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
	u.destinations.opened(address)
	if hosts := u.hosts.Load(); hosts != nil {
		for _, h := range hosts.All() {
			if h.Endpoint().Address == address {
				h.Opened()
				break
			}
		}
	}
	return conn, nil
}
